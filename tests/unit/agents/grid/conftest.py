"""Every world that a test makes is closed after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.agents.grid import world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    world.close_all()
