"""The market of the demo: keys and a trust file, three configurations, and the VTN that announces stress.

Law: does what the administrators of three sites would, by files and FlexLon's own commands. Each identity has a
key of its own, readable by its own process only. The two containers beside the cluster start their process when
its configuration is there. The VTN answers GET /events, as an OpenADR 3.1 VTN does, and knows one event.
"""

from __future__ import annotations

import http.server
import json
import os
import pwd
import threading
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from demo_lib.product import PREFIX
from demo_lib.setup import run

SHARED = Path("/market")  # a volume of all three hosts
SITE_KEY = Path("/etc/flexlon/market.key")
SITE_TRUST = Path("/etc/flexlon/trust.toml")
SITE_JOURNAL = Path("/var/lib/flexlon/market-site.db")
JOURNALS = {
    "grid.demo": SHARED / "grid" / "market-grid.db",
    "hpc.demo": SITE_JOURNAL,
    "battery.demo": SHARED / "battery" / "market-site.db",
}
BATTERY_KW = 1.0
VTN_PORT = 8090
_HERE = Path(__file__).parent
_PARTIES = (
    ("grid.demo", "BAP", "http://grid:8085/beckn", SHARED / "grid" / "market.key"),
    ("hpc.demo", "BPP", "http://ctl:8085/beckn", SITE_KEY),
    ("battery.demo", "BPP", "http://battery:8085/beckn", SHARED / "battery" / "market.key"),
)


def make_keys() -> None:
    """A key for each, and the trust file that all of them have. Raises DemoError."""
    entries = []
    for name, role, uri, file in _PARTIES:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        words = [str(file), "--subscriber", name, "--role", role, "--uri", uri]
        entries.append(run([str(PREFIX / "flexlond"), "keygen", *words]))
    for trust in (SHARED / "trust.toml", SITE_TRUST):
        trust.write_text("\n".join(entries), encoding="utf-8")
        trust.chmod(0o644)
    owner = pwd.getpwnam("flexlon")
    os.chown(SITE_KEY, owner.pw_uid, owner.pw_gid)


def site_configuration(window: str, slot_seconds: int) -> str:
    """The cluster's configuration: that of the demo of a window, and the market's part."""
    text = (_HERE / "market_site.toml").read_text(encoding="utf-8")
    part = Template(text).substitute(notice=slot_seconds, refresh=slot_seconds)
    return window + part


def open_others(slot_seconds: int) -> None:
    """The grid's and the battery site's processes start: their configurations are there now."""
    for host in ("grid", "battery"):
        text = (_HERE / f"market_{host}.toml").read_text(encoding="utf-8")
        made = Template(text).substitute(slot_seconds=slot_seconds, battery_kw=BATTERY_KW)
        folder = SHARED / host
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / "flexlon.toml.new"
        draft.write_text(made, encoding="utf-8")
        draft.rename(folder / "flexlon.toml")


class Vtn:
    """The VTN; `announce` puts its event out."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        vtn = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(vtn.events).encode()
                self.send_response(200 if self.path.startswith("/events") else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("0.0.0.0", VTN_PORT), Handler)  # noqa: S104 - the demo's network
        threading.Thread(target=self._server.serve_forever, name="vtn", daemon=True).start()

    def announce(self, start: int, slots: int, slot_seconds: int, kw: float) -> None:
        """So many kW less for so many slots."""
        self.events = [
            {
                "id": "stress-1",
                "objectType": "EVENT",
                "programID": "demo",
                "eventName": "stress on the grid",
                "intervalPeriod": {
                    "start": f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%SZ}",
                    "duration": f"PT{slots * slot_seconds}S",
                },
                "intervals": [
                    {
                        "id": 0,
                        "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-kw]}],
                    }
                ],
            }
        ]

    def close(self) -> None:
        """No more."""
        self._server.shutdown()
        self._server.server_close()
