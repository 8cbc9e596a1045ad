"""Jobs that differ only in what a test is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexlond.prediction.features import Features, features

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def like() -> Callable[..., Features]:
    def make(**changed: Any) -> Features:
        fields: dict[str, Any] = {
            "user": "alice",
            "account": "physics",
            "partition": "main",
            "name": "train_1.sh",
            "limit_seconds": 3600,
            "cpus": 4,
            "nodes": 1,
            "gpus": 0,
        }
        return features(**(fields | changed))

    return make
