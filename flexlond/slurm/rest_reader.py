"""slurmrestd over its Unix socket: for sites that run one.

Law: GET only, over the socket that the configuration names, never over TCP and never with a token (the power
to make tokens is the power of root). The API version is found by asking, newest first; v0.0.38 and v0.0.40
to v0.0.45 are understood (json_reader's decoder). slurmrestd answers as its own user, so it must run as one
that may see all jobs. Arrays need SLURM_BITSTR_LEN=0 in slurmrestd's environment where their task lists are
long; without it such an array is a misfit, never a wrong count.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.json_reader import snapshot_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.job import Snapshot
    from flexlond.model.settings import SlurmSettings

API_VERSIONS: Final = (
    *("v0.0.45", "v0.0.44", "v0.0.43", "v0.0.42", "v0.0.41", "v0.0.40"),
    "v0.0.38",
)


class RestReader:
    """Reads the queue from slurmrestd (blocking: run it in a thread)."""

    name = "rest"

    def __init__(
        self, settings: SlurmSettings, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._socket = settings.restd_socket
        self._client = httpx.Client(
            transport=transport or httpx.HTTPTransport(uds=settings.restd_socket),
            base_url="http://slurmrestd",
            timeout=settings.command_timeout,
            headers={"Accept": "application/json"},
        )
        self._at_socket = transport is None
        self._api = ""

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        """The active jobs, or those of `job_ids` (read whole, filtered here: REST has no id list).

        Raises SlurmCommandError when slurmrestd does not answer or speaks no version known here.
        """
        taken_at = int(time.time())
        return snapshot_of(self.fetch(), taken_at, self.name, ("GET", "jobs"), job_ids)

    def fetch(self) -> str:
        """The whole answer as text; U+FFFD for bytes that are no UTF-8 (a comment can hold any)."""
        path = f"/slurm/{self.api_version()}/jobs/"
        response = self._get(path)
        if response.status_code != httpx.codes.OK:
            self._api = ""  # a restart may have been an upgrade
            raise self._error(path, f"HTTP {response.status_code}: {response.text[:300]}")
        return response.content.decode("utf-8", "replace")

    def api_version(self) -> str:
        """The newest API version that this slurmrestd serves and we understand."""
        if not self._api:
            for version in API_VERSIONS:
                if self._get(f"/slurm/{version}/ping/").status_code == httpx.codes.OK:
                    self._api = version
                    break
            else:
                raise self._error("/slurm/", f"serves none of {', '.join(API_VERSIONS)}")
        return self._api

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _get(self, path: str) -> httpx.Response:
        if self._at_socket and not Path(self._socket).is_socket():
            raise self._error(path, "no socket is there")
        try:
            return self._client.get(path)
        except httpx.HTTPError as error:
            self._api = ""
            raise self._error(path, f"{type(error).__name__}: {error}") from error

    def _error(self, path: str, said: str) -> SlurmCommandError:
        return SlurmCommandError(
            ("GET", path),
            None,
            said,
            f"check that slurmrestd listens on {self._socket} and lets this user in"
            " (rest_auth/local: its own user), or set [slurm] reader to squeue",
        )
