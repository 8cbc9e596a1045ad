"""[settlement]: every problem is named, and what is let through gives terms."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from flexlond.daemon.config import load
from flexlond.daemon.config_problem import ConfigError
from flexlond.settlement.baseline import BL01, Rule
from flexlond.settlement.configured import terms_of
from flexlond.settlement.readings import Quality
from flexlond.settlement.terms import PRODUCTS, Activity, Terms

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.model.settlement_settings import SettlementSettings

POINT = '[[settlement.points]]\nname = "m"\n'
METER = POINT + 'source = "prometheus"\nurl = "http://p.example"\nquery = "x"\nmax_kw = 10.0\n'


def loaded(folder: Path, text: str) -> SettlementSettings:
    path = folder / "flexlon.toml"
    path.write_text(text)
    return load(path).settlement


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[settlement]\nline_loss = "a lot"', "settlement.line_loss: 'a lot' is no number"),
        ('[settlement]\nline_loss = "NaN"', "settlement.line_loss: 'NaN' is no number"),
        (
            '[settlement]\ntransmission_loss = "9"',
            "settlement.transmission_loss: 9 is out of range",
        ),
        ("[settlement]\nvolume_places = 2", "settlement.volume_places: 2 is out of range"),
        ('[settlement]\np444_from = "soon"', 'settlement.p444_from: "soon" is no date'),
        (
            '[settlement]\nadded_holidays = ["4 June"]',
            'settlement.added_holidays: "4 June" is no date',
        ),
        ("[settlement.bl01]\nlook_back = 0", "settlement.bl01.look_back: 0 is out of range"),
        ("[settlement.bl01]\nworking_x = 11", "settlement.bl01.working_x: 11 is out of range"),
        ("[settlement.bl01]\nnon_working_least = 5", "settlement.bl01.non_working_least: 5 is out"),
        (POINT + POINT, 'settlement.points#2.name: "m" has the source file twice'),
        ('[[settlement.points]]\nname = ""', "settlement.points#1.name: is empty"),
        (POINT + 'source = "model"', "settlement.points#1.max_kw: is not set"),
        (METER.replace("http", "ftp"), "settlement.points#1.url:"),
        (METER.replace('"x"', '""'), "settlement.points#1.query: is empty"),
        (METER + 'unit = "kW"', 'unit: "kW" is no unit of a counter of energy; correct: one of Wh'),
        (METER + 'kind = "power"', 'unit: "Wh" is no unit of a power'),
        (
            '[settlement.products.x]\nsite_share = "1.5"',
            "settlement.products.x.site_share: 1.5 is out",
        ),
        (
            '[settlement.products.x]\nfee_per_mwh = "-1"',
            "settlement.products.x.fee_per_mwh: -1 is out",
        ),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as found:
        loaded(tmp_path, text)
    assert says in str(found.value)


def test_the_defaults_are_the_terms_defaults(tmp_path: Path) -> None:
    terms = terms_of(loaded(tmp_path, ""))
    assert terms == Terms()
    assert terms.digest == Terms().digest
    assert terms.profile is not None
    assert terms.profile.digest == BL01.digest


def test_a_file_s_terms(tmp_path: Path) -> None:
    text = """
[settlement]
baseline = "nominated"
line_loss = "1.052"
p444_model = "direct"
p444_from = "2027-06-25"
added_holidays = ["2027-06-04"]
[settlement.bl01]
gap = 0
non_working_x = 4
[settlement.products.dfs]
activity = "dfs"
claim_substituted = true
site_share = "0.7"
[settlement.products.local]
activity = "dso"
least_share = "0.63"
"""
    terms = terms_of(loaded(tmp_path, text))
    assert (terms.baseline, terms.line_loss, terms.p444_from) == (
        "nominated",
        Decimal("1.052"),
        dt.date(2027, 6, 25),
    )
    assert terms.profile.gap == 0
    assert terms.profile.non_working == Rule(4, 4, "mid", 2)
    assert terms.profile.name == "X of Y"  # no longer BL01, and says so
    assert terms.products["dfs"].claimable == {Quality.MEASURED, Quality.SUBSTITUTED}
    assert terms.products["dfs"].site_share == Decimal("0.7")
    assert terms.products["local"].activity is Activity.DSO
    assert terms.products["p415"] == PRODUCTS["p415"]
    assert terms.digest != Terms().digest
