"""A seller and a buyer over a busy queue for each test of the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.agents.conftest import settings
from tests.unit.agents.market.kit import Deal
from tests.unit.daemon.books_kit import PENALTY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.model.settings import Settings

__all__ = ["settings"]


@pytest.fixture
def deal(tmp_path: Path, settings: Settings) -> Iterator[Deal]:
    made = Deal(tmp_path, settings, shortfall_penalty=PENALTY)
    made.busy()
    yield made
    made.close()
    made.bench.store.close()
