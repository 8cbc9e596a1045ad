from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from flexlond.host.zone import local_zone

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


def london_file() -> Path:
    for base in TZPATH:
        if (Path(base) / "Europe/London").is_file():
            return Path(base) / "Europe/London"
    return Path(str(resources.files("tzdata") / "zoneinfo/Europe/London"))


def hours(zone: object) -> float:
    return SUMMER.astimezone(zone).utcoffset().total_seconds() / 3600  # type: ignore[arg-type,union-attr] # a ZoneInfo


@pytest.mark.parametrize(
    ("tz", "expected"), [("Europe/London", 1), (":Asia/Tokyo", 9), ("UTC", 0), ("No/Where", 0)]
)
def test_the_variable_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tz: str, expected: int
) -> None:
    monkeypatch.setenv("TZ", tz)
    assert hours(local_zone(tmp_path / "none")) == expected


def test_a_link_into_the_database_gives_the_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    link = tmp_path / "localtime"
    link.symlink_to(london_file())
    assert local_zone(link).key == "Europe/London"


def test_a_copied_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TZ", raising=False)
    copy = tmp_path / "localtime"
    copy.write_bytes(london_file().read_bytes())
    assert hours(local_zone(copy)) == 1
    monkeypatch.setenv("TZ", f":{copy}")
    assert hours(local_zone(tmp_path / "none")) == 1


def test_nothing_set_is_utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TZ", raising=False)
    assert hours(local_zone(tmp_path / "none")) == 0
    broken = tmp_path / "broken"
    broken.write_bytes(b"nonsense")
    assert hours(local_zone(broken)) == 0
