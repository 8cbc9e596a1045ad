"""The last good rows of a feed on disk, so that a restart is not blind.

Law: one JSON file per feed, written whole to a temporary file beside it and renamed. A file that cannot be
read, is of another feed or another layout is as good as none; it is never repaired. The cache changes
nothing about age: rows keep the time they were fetched. Times are epoch seconds; null is unknown.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flexlond.signals.rows import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.series import Kind
    from flexlond.model.settings import Feed

LAYOUT = 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    layout: int
    feed: str
    fetched_at: int
    rows: list[tuple[int, int, float | None]]


class FeedCache:
    """The files under `directory`; made when the first one is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def store(self, feed: Feed, kind: Kind, fetched_at: int, rows: Sequence[Row]) -> None:
        """Replaces the feed's file. Raises OSError."""
        content = _File(
            LAYOUT,
            identity(feed, kind),
            fetched_at,
            [(row.start, row.end, None if math.isnan(row.value) else row.value) for row in rows],
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        target = self._path(feed, kind)
        handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(msgspec.json.encode(content))
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def load(self, feed: Feed, kind: Kind) -> tuple[int, tuple[Row, ...]] | None:
        """When it was fetched and the rows; None when there is nothing usable. Never raises."""
        try:
            content = msgspec.json.decode(self._path(feed, kind).read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError):
            return None
        if content.layout != LAYOUT or content.feed != identity(feed, kind) or not content.rows:
            return None
        rows = (
            Row(start, end, math.nan if value is None else value)
            for start, end, value in content.rows
        )
        return content.fetched_at, tuple(rows)

    def _path(self, feed: Feed, kind: Kind) -> Path:
        digest = hashlib.sha256(identity(feed, kind).encode()).hexdigest()[:16]
        return self.directory / f"{kind}-{feed.source}-{digest}.json"


def identity(feed: Feed, kind: Kind) -> str:
    """What makes a feed the same feed: its source and place, not its refresh or limits."""
    place = f"{feed.url}|{feed.region}|{feed.product}|{feed.path}|{feed.column}"
    return f"{kind}|{feed.source}|{place}"
