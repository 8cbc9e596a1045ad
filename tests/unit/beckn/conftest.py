"""Two participants for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.beckn.kit import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()
