"""[market.buy]: what is refused, with the key and the correct form."""

from __future__ import annotations

import pytest

from flexlond.daemon.config import parse
from flexlond.daemon.config_problem import ConfigError


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "flexlon.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[market.buy]\nlot_kw = 0.0", "market.buy.lot_kw", "out of range"),
        ("[market.buy]\nbudget_gbp = -1.0", "market.buy.budget_gbp", "out of range"),
        ('[market.buy]\ngoal = "fun"', "market.buy.goal", "stress"),
        ("[market.buy]\nmin_certainty = 2.0", "market.buy.min_certainty", "out of range"),
        ('[market.buy]\nneeds_file = "needs.toml"', "market.buy.needs_file", "absolute"),
        ("[market.buy.weights.fun]\nprice = 1.0", "market.buy.weights.fun", "no goal"),
        ("[market.buy.weights.price]\nprice = -1.0", "market.buy.weights.price.price", "range"),
        ('[[market.buy.stress]]\nsource = "openadr"', "market.buy.stress#1.url", "which VTN"),
        (
            '[[market.buy.stress]]\nsource = "openadr"\nurl = "ftp://x"',
            "market.buy.stress#1.url",
            "no web address",
        ),
        (
            '[[market.buy.stress]]\nsource = "openadr"\nurl = "http://x"\nclient_id = "a"',
            "market.buy.stress#1.secret_file",
            "no secret",
        ),
        ('[[market.buy.stress]]\nsource = "rumour"', "market.buy.stress", "elexon"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_key(text: str, key: str, words: str) -> None:
    said = problems(text)
    assert key in said
    assert words in said


def test_weights_of_a_goal_are_the_configured_ones_else_ours() -> None:
    settings = parse(b"[market.buy.weights.carbon]\nprice = 0.5", "flexlon.toml").market.buy
    assert settings.weights_of("carbon").price == 0.5
    assert settings.weights_of("stress").shortfall_gbp_per_kwh == 1.0
