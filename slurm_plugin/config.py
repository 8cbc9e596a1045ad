"""The helper's part of the configuration file: [directive], [helper], [licence] and [slurm].

Law: reads one TOML file at start. Unknown keys in these four tables are errors; the other tables are the
daemon's and are not looked at. Refuses settings under which the policy would not hold.
"""

from __future__ import annotations

import pwd
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flexlond.host.zone import local_zone
from flexlond.model.directive import check_classes
from flexlond.model.licence import why_no_consent
from flexlond.model.settings import (
    DirectiveSettings,
    HelperSettings,
    LicenceSettings,
    SlurmSettings,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_TABLES = ("directive", "helper", "licence", "slurm")


class HelperConfigError(Exception):
    """The configuration cannot be used; the text says which file and key, and what to do."""


class HelperConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the helper knows of the configuration."""

    directive: DirectiveSettings = DirectiveSettings()
    helper: HelperSettings = HelperSettings()
    licence: LicenceSettings = LicenceSettings()
    slurm: SlurmSettings = SlurmSettings()


def load(path: str, *, now: int, tz: ZoneInfo | None = None) -> HelperConfig:
    """Read `path`; HelperConfigError when it is missing, not TOML, or wrong in a table of ours."""
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HelperConfigError(
            f"cannot read the configuration {path}: {error}; check it with `flexlond check-config`"
        ) from error
    ours = {name: data[name] for name in _TABLES if name in data}
    try:
        config = msgspec.convert(ours, HelperConfig)
    except msgspec.ValidationError as error:
        raise HelperConfigError(
            f"{path}: {error}; `flexlond check-config` names the nearest known key"
        ) from error
    helper, licence = config.helper, config.licence
    wrong = [
        f"{name} = {value}: must be {least} or more"
        for name, value, least in (
            ("helper.max_actions_per_minute", helper.max_actions_per_minute, 1),
            ("helper.max_requeues_per_minute", helper.max_requeues_per_minute, 0),
            ("helper.max_batch", helper.max_batch, 1),
            ("helper.margin_seconds", helper.margin_seconds, 0),
            ("helper.resume_grace", helper.resume_grace, 0),
            ("licence.total_kw", licence.total_kw, 0),
            ("licence.longest_seconds", licence.longest_seconds, 60),
            ("licence.ahead_seconds", licence.ahead_seconds, 60),
            ("licence.most", licence.most, 1),
        )
        if value < least
    ]
    if why := why_no_consent(licence):
        wrong.append(f"licence.consent {why}")
    wrong += check_classes(config.directive, now=now, tz=tz or local_zone())
    if wrong:
        raise HelperConfigError(f"{path}: " + "; ".join(wrong))
    return config


def daemon_uid(config: HelperConfig) -> int:
    """Return the uid of the only user that may ask for actions."""
    name = config.helper.daemon_user
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise HelperConfigError(
            f"helper.daemon_user = '{name}': no such user here; create it (systemd-sysusers) or name another"
        ) from None
