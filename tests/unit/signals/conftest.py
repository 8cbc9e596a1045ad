"""The far ends that are not ours: answers in the services' shapes, served through httpx's own transport."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flexlond.model.timegrid import TimeGrid
from tests.unit.signals.feeds_kit import NOON

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[2] / "fixtures" / "signals"
NOW = 1795435800  # 2026-11-23T12:10Z


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reaches for the network fails the test."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a unit test of the signals reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def now() -> int:
    return NOW


@pytest.fixture
def load() -> Callable[[str], Any]:
    """A fixture file, decoded."""

    def read(name: str) -> Any:
        return json.loads((FIXTURES / name).read_text(encoding="utf-8"))

    return read


class FarEnd:
    """A service: answers by a function of the request, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(500)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    def says(self, payload: Any) -> None:
        self.answer = lambda _: httpx.Response(200, json=payload)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)


@pytest.fixture
def far_end() -> FarEnd:
    return FarEnd()


@pytest.fixture
def national(load: Callable[[str], Any]) -> Any:
    return load("neso_national_fw48h.json")


@pytest.fixture
def grid() -> TimeGrid:
    return TimeGrid.covering(NOON + 600, 1800, 48)
