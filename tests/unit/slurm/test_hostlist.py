"""Host lists as Slurm writes them."""

from __future__ import annotations

import pytest

from flexlond.slurm.hostlist import expand


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        ("", ()),
        ("n2", ("n2",)),
        ("n[1-3,007],gpu01", ("n1", "n2", "n3", "n007", "gpu01")),
        ("r[0-1]n[09-10]x", ("r0n09x", "r0n10x", "r1n09x", "r1n10x")),
        ("a-b.c,d[5]", ("a-b.c", "d5")),
    ],
)
def test_single_names_in_the_order_of_the_list(hosts: str, names: tuple[str, ...]) -> None:
    assert expand(hosts) == names


@pytest.mark.parametrize(
    "hosts", ["n[1", "n]1", "n[1-x]", "n[]", "n[3-1]", "a,,b", "n[0-999999]", "r[0-999]n[0-999]"]
)
def test_what_is_none_is_refused_by_name(hosts: str) -> None:
    with pytest.raises(ValueError, match="not a") as raised:
        expand(hosts)
    assert hosts[:4] in str(raised.value)
