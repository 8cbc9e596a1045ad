"""[ledger]: what is refused, with its key and the correct form."""

from __future__ import annotations

import pytest

from flexlond.daemon.config import parse
from flexlond.daemon.config_problem import ConfigError

GOOD = """
[ledger]
name = "hpc.example.org/flexlon"
path = "/var/lib/flexlon/ledger.db"
second_place = "/srv/witness"
key = "/etc/flexlon/ledger.key"
keep_days = 800
personal_days = 400
"""


def test_a_ledger_is_configured_and_none_is_kept_without_a_name() -> None:
    assert parse(GOOD.encode(), "x").ledger.second_place == "/srv/witness"
    assert parse(b"", "x").ledger.name == ""


@pytest.mark.parametrize(
    ("was", "becomes", "key"),
    [
        ('"hpc.example.org/flexlon"', '"hpc example"', "ledger.name"),
        ('"hpc.example.org/flexlon"', '"a+b"', "ledger.name"),
        ('"hpc.example.org/flexlon"', '""', "ledger.second_place"),
        ('"/srv/witness"', '"witness"', "ledger.second_place"),
        ('"/var/lib/flexlon/ledger.db"', '"ledger.db"', "ledger.path"),
        ('"/etc/flexlon/ledger.key"', '"../key"', "ledger.key"),
        ("keep_days = 800", "keep_days = -1", "ledger.keep_days"),
        ("personal_days = 400", "personal_days = 99999", "ledger.personal_days"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(was: str, becomes: str, key: str) -> None:
    assert was in GOOD
    with pytest.raises(ConfigError) as refused:
        parse(GOOD.replace(was, becomes).encode(), "x")
    assert key in {problem.key for problem in refused.value.problems}
