"""The shape of what is said of one key of the configuration.

Law: data only; config_docs.py and its parts fill it.
"""

from __future__ import annotations

from typing import NamedTuple


class KeyDoc(NamedTuple):
    """A key's unit ("" when it has none), what it means, and an example in TOML."""

    unit: str
    sentence: str
    example: str
