"""The policies by name: what each is in a sentence, which parameters it has, how it is made.

Law: one entry for each policy; a name or a parameter that is not here is refused with those that are. A policy
is made anew for each run and shares nothing with another. Peers get the same signals, latest starts, limits
and scheduler as ours; who knows more than could be known says so in its sentence.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from flexlond.backtest.peers import AsSoonAsPossible, Coast, Greenest, WaitAwhile, Weights
from flexlond.model.settings import PlanningSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.backtest.case import PowerCoefficients, Signals
    from flexlond.backtest.policy import Policy


class PolicyError(ValueError):
    """No such policy or parameter; the text names those that there are."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy is made with, besides its own parameters."""

    signals: Signals
    power: PowerCoefficients
    carbon_price: float  # GBP/tCO2


@dataclass(frozen=True, slots=True)
class Entry:
    """One policy of the roster."""

    rule: str
    parameters: Mapping[str, str]  # name: what it is
    make: Callable[[Setting, Mapping[str, float]], Policy]
    bound: bool = False  # knows more than anybody could: a bound on what can be had


def _asap(_: Setting, __: Mapping[str, float]) -> Policy:
    return AsSoonAsPossible()


def _greenest(setting: Setting, _: Mapping[str, float]) -> Policy:
    return Greenest(setting.signals)


def _coast(setting: Setting, own: Mapping[str, float]) -> Policy:
    return Coast(setting.signals, setting.power, alpha=own.get("alpha", Weights().alpha))


def _wait_awhile(setting: Setting, own: Mapping[str, float]) -> Policy:
    usual = WaitAwhile(setting.signals)
    return replace(usual, share=own["share"]) if own else usual


def _ours(
    runtimes: Literal["learned", "requested", "actual"],
) -> Callable[[Setting, Mapping[str, float]], Policy]:
    def make(setting: Setting, own: Mapping[str, float]) -> Policy:
        # The planner and its helpers are slow to import and not needed for the peers.
        from flexlond.backtest.ours import Flexlon  # noqa: PLC0415 - as said above

        rules: dict[str, Any] = {
            key: int(own[key]) for key in ("block_seconds", "newcomer_days") if key in own
        }
        carbon_price = own.get("carbon_price", setting.carbon_price)
        return Flexlon(
            setting.signals,
            setting.power,
            runtimes=runtimes,
            settings=PlanningSettings(carbon_price=carbon_price, **rules),
            delay_price=own.get("delay_price"),
            parameter=_words(own),
        )

    return make


_OWN = {
    "delay_price": "GBP per kWh of the mean job and day of delay",
    "carbon_price": "GBP per tonne of CO2, instead of the study's",
    "block_seconds": "s that a deferred job may keep large newcomers waiting, 7200",
    "newcomer_days": "days of newcomers that might take a held job's room, 90; 0: not looked at",
}

ROSTER: Mapping[str, Entry] = {
    "asap": Entry("every job as soon as it fits: Slurm without FlexLon", {}, _asap),
    "greenest": Entry(
        "each job by itself at the start with the least forecast carbon over its time limit "
        "(CATS); knows no room and no price",
        {},
        _greenest,
    ),
    "coast": Entry(
        "carbon, delay and congestion weighed for each job against what others took "
        "(COAST, arXiv 2609.05443); knows no room and no price",
        {"alpha": "the weight of carbon, 4 in the paper"},
        _coast,
    ),
    "wait-awhile": Entry(
        "the first slot as green as the greenest part of the job's window "
        "(after Wiesner et al. 2021); knows no room and no price",
        {"share": "that part, 0.3"},
        _wait_awhile,
    ),
    "flexlon": Entry(
        "FlexLon's planner by price and carbon within the cluster's room, re-planned each slot, with "
        "runtimes learned from jobs that had ended",
        _OWN,
        _ours("learned"),
    ),
    "flexlon-requested": Entry(
        "the same planner with the time limits that users asked for", _OWN, _ours("requested")
    ),
    "flexlon-perfect": Entry(
        "the same planner, told each job's true runtime: an upper bound",
        _OWN,
        _ours("actual"),
        bound=True,
    ),
}
DEFAULT = ("asap", "greenest", "coast", "wait-awhile", "flexlon", "flexlon-perfect")


def parse(text: str) -> tuple[str, str]:
    """(policy, parameter) of NAME[:param=value[,param=value]]. Raises PolicyError."""
    name, _, words = text.strip().partition(":")
    if name not in ROSTER:
        raise PolicyError(f"there is no policy {name!r}{_meant(name, ROSTER)}")
    values = _values(name, words)
    return name, _words(values)


def make(policy: str, parameter: str, setting: Setting) -> Policy:
    """A policy as `parse` gave it. Raises PolicyError."""
    return ROSTER[policy].make(setting, _values(policy, parameter))


def _words(values: Mapping[str, float]) -> str:
    return ",".join(f"{key}={value:g}" for key, value in values.items())


def _values(name: str, words: str) -> dict[str, float]:
    known = ROSTER[name].parameters
    values: dict[str, float] = {}
    for word in filter(None, words.split(",")):
        key, equals, text = word.partition("=")
        key = key.strip()
        if key not in known:
            raise PolicyError(f"policy {name} has no parameter {key!r}{_meant(key, known)}")
        try:
            values[key] = float(text)
        except ValueError:
            values[key] = math.nan
        if not equals or not math.isfinite(values[key]):
            raise PolicyError(f"policy {name}: {word!r} is no number; write {key}=VALUE")
    return values


def _meant(word: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    names = f"there are {', '.join(known)}" if known else "it has none"
    return (f"; did you mean {near[0]}? " if near else "; ") + names
