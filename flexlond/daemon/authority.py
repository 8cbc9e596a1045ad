"""Who is an operator.

Law: root, the users of admin.operators (by name or uid) and the members of admin.operator_group, as the
host's own user database says at this moment; nothing is cached, so a change there counts at once. A name
that does not exist gives nobody any right. Lookups may block (LDAP): call from a thread.
"""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flexlond.model.settings import AdminSettings


def is_operator(uid: int, settings: AdminSettings) -> bool:
    """Whether `uid` may see and ask everything."""
    return uid == 0 or uid in operator_uids(settings) or _in_group(uid, settings.operator_group)


def operator_uids(settings: AdminSettings) -> frozenset[int]:
    """The uids of admin.operators that exist on this host."""
    found = (_uid_of(name) for name in settings.operators)
    return frozenset(uid for uid in found if uid is not None)


def user_name(uid: int) -> str:
    """The name of `uid`, or its number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _uid_of(name: str) -> int | None:
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _in_group(uid: int, group: str) -> bool:
    if not group:
        return False
    try:
        gid = grp.getgrnam(group).gr_gid
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    return gid in os.getgrouplist(user.pw_name, user.pw_gid)
