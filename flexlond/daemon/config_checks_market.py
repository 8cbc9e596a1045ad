"""What must hold in [agents] and [market], beyond the type of each value.

Law: as config_checks.py, of which this is a part: pure, every problem is found, none is raised. Whether a key
or a trust file can be read is not looked at here: the start says it, and the loop of holds goes on without it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

from flexlond.daemon.config_problem import Problem, absolute, problem_of, within
from flexlond.model.market_settings import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.market_settings import BidSettings, IdentitySettings, SellSettings
    from flexlond.model.settings import Settings

ROLES = ("BPP", "BAP")
"""A site sells as BPP and bids as BAP, a grid buys as BAP and publishes as BPP, a portfolio needs both."""
_NEEDED: dict[str, tuple[str, ...]] = {
    "grid_orchestrator": ("BAP",),
    "flex_orchestrator": ("BPP", "BAP"),
}
"""Those without which it is not on the market; a site needs one of its two."""
_MAX_ID = 256
_DAY = 86_400


def agents(settings: Settings) -> Iterator[Problem]:
    """[agents] against the rest."""
    chosen = settings.agents
    if not any(getattr(chosen, agent) for agent in get_args(Agent)):
        yield problem_of(
            "agents", "no agent runs: the process would do nothing", "one of them true"
        )
    if chosen.asset_site and chosen.compute_flex:
        yield problem_of(
            "agents.asset_site",
            "with compute_flex the assets are planned and sold with the jobs",
            "one of the two; asset_site is for a site without Slurm: compute_flex = false",
        )
    if chosen.asset_site and not settings.assets:
        yield problem_of(
            "agents.asset_site",
            "there is no [[assets]]: it has nothing to sell",
            "one asset or more",
            "assets",
        )
    for agent in sorted({*_NEEDED, "asset_site"}):
        if not getattr(chosen, agent):
            continue
        for role in _missing(settings, agent):
            yield problem_of(
                f"agents.{agent}",
                f"it has no identity as {role}",
                f'a table [market.identity.NAME] with agent = "{agent}" and role = "{role}"',
                "market",
            )


def has_place(settings: Settings, agent: str) -> bool:
    """Whether an agent has the identities that it needs."""
    return not _missing(settings, agent)


def _missing(settings: Settings, agent: str) -> list[str]:
    if agent not in _NEEDED:  # a site: one is enough
        placed = any(settings.market.of(agent, role) for role in ROLES)
        return [] if placed else ["BPP"]
    return [role for role in _NEEDED[agent] if settings.market.of(agent, role) is None]


def market(settings: Settings) -> Iterator[Problem]:
    """[market]."""
    taken: dict[tuple[str, ...], str] = {}
    for name, one in settings.market.identity.items():
        key = f"market.identity.{name}"
        yield from _identity(key, one)
        journal = one.journal or f"market-{name}.db"
        for what, field in (
            (("agent", one.agent, one.role), "agent"),
            (("subscriber", one.subscriber, one.key_id), "subscriber"),
            (("listen", one.listen, str(port_of(one))), "port"),
            (("journal", journal), "journal"),
        ):
            if (other := taken.setdefault(what, name)) != name:
                yield problem_of(
                    f"{key}.{field}",
                    f"is the same as in market.identity.{other}: an identity has its own",
                    f"another {' and '.join(what[0:1])}",
                )
    yield from _sell(settings.market.sell)
    yield from _bid(settings.market.bid)


def port_of(one: IdentitySettings) -> int:
    """The port on which it listens; 0 where that cannot be told."""
    if one.port:
        return one.port
    try:
        parts = urlsplit(one.uri)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return 0


def _identity(key: str, one: IdentitySettings) -> Iterator[Problem]:
    for field in ("subscriber", "key_id"):
        value = getattr(one, field)
        if not _is_id(value):
            yield problem_of(
                f"{key}.{field}",
                f'"{value[:40]}" is no id',
                f"1 to {_MAX_ID} characters without blanks, quotes, commas and |",
            )
    for field in ("uri", "registry_url"):
        value = getattr(one, field)
        if (value or field == "uri") and not _is_address(value):
            yield problem_of(
                f"{key}.{field}", f'"{value[:60]}" is no web address', '"https://HOST/PATH"'
            )
    yield from _secrets(key, one)
    try:
        ipaddress.ip_address(one.listen)
    except ValueError:
        yield problem_of(
            f"{key}.listen", f'"{one.listen}" is no IP address', '"127.0.0.1", "0.0.0.0" or "::"'
        )
    yield from within(f"{key}.port", one.port, 0, 65_535)
    if _is_address(one.uri) and port_of(one) < 1024:
        yield problem_of(
            f"{key}.port",
            f"{port_of(one)} is a privileged port, and the service has no privilege",
            "a port from 1024 on; a proxy takes TLS and passes it on",
        )
    for field, low, high in (
        ("skew", 0, 300),
        ("request_ttl", 1, _DAY),
        ("callback_ttl", 1, _DAY),
        ("draft_seconds", 1, _DAY),
        ("quote_seconds", 1, _DAY),
        ("answer_seconds", 1, _DAY),
        ("rate_per_second", 0.1, 10_000),
        ("burst", 1, 100_000),
        ("keep_days", 1, 36_500),
    ):
        yield from within(f"{key}.{field}", getattr(one, field), low, high)


def _secrets(key: str, one: IdentitySettings) -> Iterator[Problem]:
    """Key, trust and journal."""
    if bool(one.key) == bool(one.key_file):
        yield problem_of(
            f"{key}.key",
            "needs one of the two: a credential or a file",
            'key = "NAME" with LoadCredential=NAME:PATH in the unit, or key_file = "/PATH"',
        )
    if one.key and ("/" in one.key or one.key in {".", ".."}):
        yield problem_of(
            f"{key}.key", f'"{one.key}" is no name of a credential', "a name without /, or key_file"
        )
    for field in ("key_file", "trust_file", "journal"):
        if value := getattr(one, field):
            yield from absolute(f"{key}.{field}", value)
    if not one.trust_file and not one.registry_url:
        yield problem_of(
            f"{key}.trust_file", "nobody would be believed", "a trust file, a registry_url, or both"
        )


def _sell(sell: SellSettings) -> Iterator[Problem]:
    key = "market.sell"
    for field, low, high, unit in (
        ("approve_seconds", 1, 3600, "seconds"),
        ("margin", 0, 100, ""),
        ("least_price", 0, 1000, "GBP/kWh"),
        ("shortfall_penalty", 0, 1000, "GBP/kWh"),
        ("least_kw", 0.001, 1e9, "kW"),
        ("least_jobs", 1, 1_000_000, "jobs"),
        ("gate_closure", 0, 7 * _DAY, "seconds"),
        ("notice", 0, 7 * _DAY, "seconds"),
        ("min_slots", 1, 10_000, "slots"),
        ("max_slots", 1, 10_000, "slots"),
        ("max_per_day", 0, 1000, ""),
        ("refresh", 1, _DAY, "seconds"),
        ("stale", 1, _DAY, "seconds"),
        ("publish_every", 10, _DAY, "seconds"),
        ("publish_change", 0, 1, ""),
        ("proof_seconds", 0, 7 * _DAY, "seconds"),
    ):
        yield from within(f"{key}.{field}", getattr(sell, field), low, high, unit)
    if sell.min_slots > sell.max_slots:
        yield problem_of(
            f"{key}.min_slots",
            f"{sell.min_slots} is more than max_slots ({sell.max_slots})",
            "at most max_slots",
        )
    if sell.stale < sell.refresh:
        yield problem_of(
            f"{key}.stale",
            f"{sell.stale:g} s is shorter than refresh ({sell.refresh:g} s): nothing would be offered",
            "longer than refresh",
        )
    yield from ids(f"{key}.publish_to", sell.publish_to)
    if sell.track_url and not _is_page(sell.track_url):
        yield problem_of(
            f"{key}.track_url",
            f'"{sell.track_url[:60]}" is no web address',
            '"https://HOST/PATH/{order}"',
        )


def _bid(bid: BidSettings) -> Iterator[Problem]:
    key = "market.bid"
    for field, low, high, unit in (
        ("margin_gbp_per_kwh", 0, 1000, "GBP/kWh"),
        ("lead_seconds", 0, _DAY, "seconds"),
        ("refresh_seconds", 1, _DAY, "seconds"),
        ("silent_seconds", 1, _DAY, "seconds"),
        ("hold_seconds", 1, _DAY, "seconds"),
    ):
        yield from within(f"{key}.{field}", getattr(bid, field), low, high, unit)
    yield from ids(f"{key}.grids", bid.grids)


def ids(key: str, names: tuple[str, ...]) -> Iterator[Problem]:
    """A list of participants."""
    for name in names:
        if not _is_id(name) or names.count(name) > 1:
            yield problem_of(
                key,
                f'"{name[:40]}" is no id of a participant, or stands there twice',
                "subscriber ids of the trust file, each once",
            )


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _MAX_ID and text.isprintable() and not set(text) & set('|", ')


def _is_page(text: str) -> bool:
    """A web address, with {order} in its path or query or nowhere."""
    try:
        parts = urlsplit(text.replace("{order}", "x"))
        plain = text.isascii() and text.isprintable() and not set(text) & set(' "<>\\^`|')
        braces = set(text.replace("{order}", "")) & set("{}")
        return (
            plain and not braces and parts.scheme in {"http", "https"} and bool(parts.hostname)
        ) and parts.username is None
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.username is None
            and not parts.query
            and not parts.fragment
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return False
