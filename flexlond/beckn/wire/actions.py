"""The actions: their path, who sends them, which answer they get, and the shape of their message.

Law: one table. `forward` actions go from BAP to BPP and get the answer `on_...`; an answer may also come
unasked where `push` says so. `catalog/publish` goes the other way, from a BPP to a catalogue service; its
answer comes back. Source: the paths of Beckn 2.0.0 LTS (2026-05-27).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flexlond.beckn.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """Which side of the protocol; who buys and who sells is the contract's own matter."""

    BAP = "BAP"
    BPP = "BPP"

    @property
    def other(self) -> Role:
        """The other side."""
        return Role.BPP if self is Role.BAP else Role.BAP


@dataclass(frozen=True, slots=True)
class Action:
    """One action of the protocol."""

    name: str  # also the path, without its leading slash
    sender: Role
    body: type[Any]
    answer: str = ""  # the callback; empty for a callback
    push: bool = False  # a callback that may come unasked
    needs_id: bool = False  # the contract must carry its id
    two_phase: bool = False
    contractual: bool = True  # belongs to one contract's life cycle

    @property
    def is_request(self) -> bool:
        """Whether it asks for an answer."""
        return bool(self.answer)


def _table() -> Mapping[str, Action]:
    bap, bpp = Role.BAP, Role.BPP
    one, loose = bodies.WithContract, bodies.WithContractOpen
    rows = (
        Action("discover", bap, bodies.Discover, "on_discover", contractual=False),
        Action("on_discover", bpp, bodies.OnDiscover, contractual=False),
        Action(
            "catalog/publish",
            bpp,
            bodies.CatalogPublish,
            "catalog/on_publish",
            contractual=False,
        ),
        Action("catalog/on_publish", bap, bodies.CatalogOnPublish, contractual=False),
        Action("select", bap, one, "on_select"),
        Action("on_select", bpp, one),
        Action("init", bap, one, "on_init"),
        Action("on_init", bpp, one),
        Action("confirm", bap, loose, "on_confirm"),
        Action("on_confirm", bpp, one),
        Action("status", bap, loose, "on_status", needs_id=True),
        Action("on_status", bpp, one, push=True),
        Action("track", bap, bodies.WithTracking, "on_track"),
        Action("on_track", bpp, bodies.WithTracking, push=True),
        Action("update", bap, one, "on_update", two_phase=True),
        Action("on_update", bpp, one, push=True),
        Action("cancel", bap, loose, "on_cancel", needs_id=True, two_phase=True),
        Action("on_cancel", bpp, one, push=True),
        Action("rate", bap, bodies.Rate, "on_rate"),
        Action("on_rate", bpp, bodies.OnRate, push=True),
        Action("support", bap, bodies.WithSupport, "on_support"),
        Action("on_support", bpp, bodies.WithSupport, push=True),
    )
    return {row.name: row for row in rows}


ACTIONS: Mapping[str, Action] = _table()
REQUESTS: tuple[Action, ...] = tuple(a for a in ACTIONS.values() if a.is_request)
