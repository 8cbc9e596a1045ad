"""What only the daemon's shell knows, and how it is laid over what the loop says of itself.

Law: one mutable record, touched only on the event loop's thread. The loop's own words are kept unless
the shell knows better: a cycle that failed is said instead of the last one that did not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.agents.ports import StatusView
    from flexlond.model.settings import Settings


@dataclass
class Shell:
    """The settings in force and how the shell itself is doing. Times are epoch seconds."""

    settings: Settings
    config_path: Path
    config_error: str = ""  # why the last reload was refused
    failure: str = (
        ""  # the sentence of a cycle or tick that failed; empty when the last one did not
    )
    failed_at: int = 0
    heartbeat_until: int = 0
    warnings: dict[str, str] = field(
        default_factory=dict
    )  # by topic, so that each can be withdrawn
    healthy: bool = False

    def warn(self, topic: str, text: str) -> bool:
        """Say `text` in the status until it is withdrawn with ""; True when that is news."""
        old = self.warnings.get(topic, "")
        if text:
            self.warnings[topic] = text
        else:
            self.warnings.pop(topic, None)
        return old != text

    def overlay(self, status: StatusView, now: float) -> StatusView:
        """Return the loop's status with the shell's own knowledge laid over it."""
        failed = bool(self.failure)
        return replace(
            status,
            config_path=str(self.config_path),
            config_error=self.config_error,
            heartbeat_fresh=now <= self.heartbeat_until,
            warnings=(*status.warnings, *self.warnings.values()),
            last_cycle=self.failure if failed else status.last_cycle,
            last_cycle_at=self.failed_at if failed else status.last_cycle_at,
        )
