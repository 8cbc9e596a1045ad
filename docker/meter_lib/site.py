"""The site's simulated meter: polls the nodes, turns what they run into power, and serves it.

Law: the coefficients and the noise are the meter's own and differ from FlexLon's defaults. A node that does not
answer draws nothing. Served are `/metrics`, and of Prometheus' HTTP API as much as an instant query of
`site_power_watts` and of its `timestamp()` needs; with --csv every sample is appended to a file besides. Watts.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from meter_lib.node import PORT as NODE_PORT
from meter_lib.node import Busy

if TYPE_CHECKING:
    from collections.abc import Sequence

METRIC = "site_power_watts"
LOOKBACK = 300.0  # seconds: as long as Prometheus serves an old sample
# Nodes are asked directly, whatever proxy the environment names.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_LINE = re.compile(r"^node_(\w+) (\d+)$", re.MULTILINE)


def read_node(address: str, timeout: float = 2.0) -> Busy | None:
    """What the node at HOST:PORT runs; None when it does not answer."""
    try:
        with _OPENER.open(f"http://{address}/metrics", timeout=timeout) as answer:
            found = dict(_LINE.findall(answer.read().decode()))
        return Busy(
            int(found["busy_jobs"]),
            int(found["busy_cpus"]),
            int(found["busy_gpus"]),
            int(found["stopped_jobs"]),
        )
    except (OSError, KeyError):
        return None


def watts(nodes: Sequence[Busy | None], options: argparse.Namespace) -> float:
    """The site's power without noise."""
    it = sum(
        options.idle_watts + node.cpus * options.cpu_watts + node.gpus * options.gpu_watts
        for node in nodes
        if node is not None
    )
    return float(it * options.pue + options.other_watts)


class Meter:
    """Samples the site once each interval."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._addresses = [
            name if ":" in name else f"{name}:{NODE_PORT}" for name in options.nodes.split(",")
        ]
        self._random = random.Random(options.seed)
        self.sample: tuple[float, float] | None = None  # (epoch s, watts)

    def look(self, pool: ThreadPoolExecutor) -> tuple[float, float]:
        """One sample."""
        nodes = list(pool.map(read_node, self._addresses))
        noise = 1.0 + self._random.gauss(0.0, self._options.noise)
        self.sample = time.time(), max(0.0, watts(nodes, self._options) * noise)
        return self.sample

    def run(self) -> None:
        """Sample for ever."""
        with ThreadPoolExecutor(len(self._addresses)) as pool:
            while True:
                began = time.monotonic()
                at, power = self.look(pool)
                if self._options.csv:
                    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
                    with Path(self._options.csv).open("a", encoding="utf-8") as stream:
                        stream.write(f"{moment},{power / 1000:.4f}\n")
                time.sleep(max(0.05, self._options.interval - (time.monotonic() - began)))


def answer(query: str, sample: tuple[float, float] | None, now: float) -> dict[str, Any]:
    """What Prometheus would answer to an instant query of the metric at `now`."""
    plain, own_time = METRIC, f"timestamp({METRIC})"
    if query not in {plain, own_time}:
        error = f"only {plain} and {own_time} are served"
        return {"status": "error", "errorType": "bad_data", "error": error}
    result = []
    if sample is not None and 0 <= now - sample[0] < LOOKBACK:
        name = {"__name__": METRIC} if query == plain else {}
        value = sample[1] if query == plain else sample[0]
        labels = {**name, "instance": "site", "job": "meter"}
        result = [{"metric": labels, "value": [round(now, 3), f"{value:.3f}"]}]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def server(meter: Meter, port: int) -> ThreadingHTTPServer:
    """The HTTP side; bound, not yet serving."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The exporter or the query."""
            at = urlsplit(self.path)
            if at.path == "/metrics":
                power = meter.sample[1] if meter.sample else float("nan")
                self._say(200, f"# TYPE {METRIC} gauge\n{METRIC} {power:.3f}\n", "text/plain")
            elif at.path == "/api/v1/query":
                words = parse_qs(at.query)
                # The moment of the question may lie a moment before the newest sample.
                now = max(float(words.get("time", ["0"])[0]), time.time())
                reply = answer(words.get("query", [""])[0], meter.sample, now)
                self._say(
                    200 if reply["status"] == "success" else 400,
                    json.dumps(reply),
                    "application/json",
                )
            else:
                self._say(404, "not found\n", "text/plain")

        def _say(self, code: int, text: str, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            """Say nothing."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def options_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The simulated meter of the cluster's power.")
    parser.add_argument("--nodes", default="n1,n2,n3", help="HOST[:PORT] of each node's sensor")
    parser.add_argument("--port", type=int, default=9109)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--idle-watts", type=float, default=131.0)
    parser.add_argument("--cpu-watts", type=float, default=7.4)
    parser.add_argument("--gpu-watts", type=float, default=338.0)
    parser.add_argument("--pue", type=float, default=1.23)
    parser.add_argument("--other-watts", type=float, default=60.0)
    parser.add_argument("--noise", type=float, default=0.004, help="standard deviation, of 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", default="", help="append every sample here (time, kW)")
    return parser.parse_args(words)


def main() -> None:
    """Sample and serve until killed."""
    options = options_of()
    meter = Meter(options)
    threading.Thread(target=meter.run, daemon=True).start()
    server(meter, options.port).serve_forever()


if __name__ == "__main__":
    main()
