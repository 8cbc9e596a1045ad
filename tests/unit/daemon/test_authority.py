from __future__ import annotations

import grp
import os
import pwd

import pytest

from flexlond.daemon.authority import is_operator, operator_uids, user_name
from flexlond.model.settings import AdminSettings

NOBODY = 4_000_123  # a uid that the host does not know


def test_root_is_an_operator_always() -> None:
    assert is_operator(0, AdminSettings(operators=(), operator_group=""))


def test_names_and_uids_count_unknown_names_give_nobody_a_right() -> None:
    settings = AdminSettings(operators=("root", "4000123", "no-such-user-here"), operator_group="")
    assert operator_uids(settings) == {0, NOBODY}
    assert is_operator(NOBODY, settings)
    assert not is_operator(NOBODY + 1, settings)


def test_members_of_the_group_are_operators() -> None:
    user = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    group = grp.getgrgid(user.pw_gid).gr_name
    assert is_operator(user.pw_uid, AdminSettings(operators=(), operator_group=group))
    assert not is_operator(NOBODY, AdminSettings(operators=(), operator_group=group))


@pytest.mark.parametrize("group", ["", "no-such-group-here"])
def test_a_group_that_is_not_there_has_no_members(group: str) -> None:
    user = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    assert not is_operator(user.pw_uid, AdminSettings(operators=(), operator_group=group))


def test_user_names() -> None:
    assert user_name(os.getuid()) == pwd.getpwuid(os.getuid()).pw_name
    assert user_name(NOBODY) == str(NOBODY)
