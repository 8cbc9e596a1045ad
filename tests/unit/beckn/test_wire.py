"""What is read: strict JSON, the context's rules, every action's message, the attribute packs, old answers."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.beckn.wire import acks, messages, packs, series, strict_json
from flexlond.beckn.wire import context as contexts
from flexlond.beckn.wire.actions import ACTIONS, REQUESTS, Role
from flexlond.beckn.wire.codes import RETRYABLE, Code, Refusal, is_synchronous, status_of
from flexlond.beckn.wire.durations import duration_of, moment_of, seconds_of
from tests.unit.beckn.kit import (
    FIRST,
    ODD,
    SCHEMA,
    SLOT,
    T0,
    contract,
    grid,
    places,
    raw,
    sample,
    whole,
)


def refusal(call: Any, *args: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call(*args)
    return caught.value


# ---- JSON


@pytest.mark.parametrize(
    ("body", "says", "path"),
    [
        (b'{"a": {"b": [{"c": 1, "d": 2, "c": 3}]}}', "the key c stands twice", "$.a.b[0]"),
        (b'{"a": 1, "a": 1}', "the key a stands twice", "$"),
        (b'{"a": ["x", "\\ud800"]}', "half a surrogate", "$.a[1]"),
        (b'{"a": NaN}', "NaN is not JSON", ""),
        (b'{"a": -Infinity}', "-Infinity is not JSON", ""),
        (b'{"a": 1e400}', "does not fit a double", ""),
        (b'{"a": ' + b"9" * 50 + b"}", "more than 40 digits", ""),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8", ""),
        (b"\xef\xbb\xbf{}", "expected one JSON object", ""),
        (b"[1]", "the body is an array", "$"),
        (b'"x"', "the body is a string", "$"),
        (b"{} {}", "Extra data at character 3", ""),
        (b"", "at character 0", ""),
        (b"{'a': 1}", "at character 1", ""),
        (b'{"a": ' + b"[" * 40, "nested deeper than 32 levels", ""),
        (b'{"a": "\x01"}', "Invalid control character", ""),
    ],
)
def test_json_that_can_be_read_in_two_ways_is_refused(body: bytes, says: str, path: str) -> None:
    found = refusal(strict_json.parse, body)
    assert found.code is Code.SCH_INVALID_JSON
    assert says in found.text
    assert found.path == path


def test_brackets_in_strings_are_no_depth_and_whole_surrogate_pairs_are_fine() -> None:
    assert strict_json.parse(b'{"a": "[[[[{{{\\"[["}', max_depth=1) == {"a": '[[[[{{{"[['}
    assert strict_json.parse(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_size_is_checked_before_anything_is_read() -> None:
    assert "at most 10" in refusal(strict_json.parse, b"{" * 11, 10).text


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner),
    max_leaves=12,
)


@given(value=st.dictionaries(st.text("xyz", max_size=3), PLAIN))
def test_what_we_write_we_read_back_and_it_has_one_form(value: dict[str, Any]) -> None:
    body = strict_json.dump(value)
    assert strict_json.parse(body) == value
    turned = dict(reversed(list(value.items())))
    assert strict_json.dump(turned) == body


@given(body=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        strict_json.parse(body)
        code = None
    except Refusal as found:
        code = found.code
    assert code in {None, Code.SCH_INVALID_JSON}


# ---- durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30S", 30),
        ("PT30M", 1800),
        ("P1DT2H", 93600),
        ("P2W", 1209600),
        ("PT0.5S", 0.5),
        ("PT0S", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text, "$") == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "30", "PT-5S", "P1M", "P1Y", "PT1,5S", "pt5s"]
)
def test_what_is_no_fixed_length_is_no_duration(text: str) -> None:
    found = refusal(seconds_of, text, "$.x")
    assert (found.code, found.path) == (Code.SCH_INVALID_FORMAT, "$.x")


@given(seconds=st.integers(0, 10**8))
def test_durations_are_written_as_they_are_read(seconds: int) -> None:
    assert seconds_of(duration_of(seconds), "$") == seconds


# ---- messages


@pytest.mark.parametrize("action", list(ACTIONS))
def test_every_actions_message_is_read(action: str) -> None:
    message = messages.parse(raw(whole(action)), action)
    assert message.action.name == action
    assert message.envelope.timestamp == T0
    assert message.envelope.expires == T0 + 30
    assert isinstance(message.body, ACTIONS[action].body)


def test_the_table_of_actions_is_closed_under_answers() -> None:
    assert len(REQUESTS) == 11
    for action in REQUESTS:
        answer = ACTIONS[action.answer]
        assert answer.sender is action.sender.other
        assert not answer.is_request
    assert {a.sender for a in ACTIONS.values()} == set(Role)


@pytest.mark.parametrize(
    ("action", "change", "code", "path"),
    [
        ("select", lambda m: m["contract"].pop("commitments"), "SCH_REQUIRED_FIELD_MISSING",
         "$.message.contract.commitments"),
        ("select", lambda m: m["contract"].update(commitments=[]), "SCH_SCHEMA_VALIDATION_FAILED",
         "$.message.contract.commitments"),
        ("select", lambda m: m["contract"].update(order=1), "SCH_FIELD_NOT_ALLOWED",
         "$.message.contract.order"),
        ("select", lambda m: m.update(order=1), "SCH_FIELD_NOT_ALLOWED", "$.message.order"),
        ("select", lambda m: m["contract"].update(status={"code": "OPEN"}), "SCH_INVALID_ENUM",
         "$.message.contract.status.code"),
        ("select", lambda m: m["contract"].update(id=None), "SCH_SCHEMA_VALIDATION_FAILED",
         "$.message.contract.id"),
        ("select", lambda m: m["contract"]["commitments"][0]["resources"][0].pop("quantity"),
         "SCH_REQUIRED_FIELD_MISSING", "$.message.contract.commitments[0].resources[0].quantity"),
        ("select", lambda m: m["contract"]["commitments"][0]["offer"].pop("resourceIds"),
         "SCH_REQUIRED_FIELD_MISSING", "$.message.contract.commitments[0].offer.resourceIds"),
        ("select", lambda m: m["contract"]["commitments"][0]["offer"].update(validity={}),
         "SCH_REQUIRED_FIELD_MISSING", "$.message.contract.commitments[0].offer.validity"),
        ("status", lambda m: m["contract"].pop("id"), "SCH_REQUIRED_FIELD_MISSING",
         "$.message.contract.id"),
        ("cancel", lambda m: m["contract"].pop("id"), "SCH_REQUIRED_FIELD_MISSING",
         "$.message.contract.id"),
        ("discover", lambda m: m["intent"].update(filters={"type": "sql", "expression": "x"}),
         "SCH_INVALID_ENUM", "$.message.intent.filters.type"),
        ("on_discover", lambda m: m["catalogs"][0].pop("resources"), "SCH_REQUIRED_FIELD_MISSING",
         "$.message.catalogs[0].resources"),
        ("on_discover", lambda m: m["catalogs"][0].update(bppUri="no address"), "SCH_INVALID_FORMAT",
         "$.message.catalogs[0].bppUri"),
        ("rate", lambda m: m["ratingInputs"][0]["range"].update(value=6),
         "SCH_SCHEMA_VALIDATION_FAILED", "$.message.ratingInputs[0].range.value"),
        ("track", lambda m: m["tracking"].update(status="ON"), "SCH_INVALID_ENUM",
         "$.message.tracking.status"),
        ("support", lambda m: m["support"].update(channels=[]), "SCH_SCHEMA_VALIDATION_FAILED",
         "$.message.support.channels"),
    ],
)  # fmt: skip
def test_errors_say_where_and_what_is_expected(
    action: str, change: Any, code: str, path: str
) -> None:
    plain = whole(action)
    change(plain["message"])
    found = refusal(messages.parse, raw(plain), action)
    assert (found.code.value, found.path) == (code, path)
    assert found.text


def test_open_objects_carry_what_we_do_not_know_and_it_is_kept() -> None:
    plain = whole("select")
    plain["message"]["contract"]["commitments"][0]["note"] = "theirs"
    message = messages.parse(raw(plain), "select")
    assert message.plain_contract["commitments"][0]["note"] == "theirs"


def test_an_error_beside_the_message_is_read_in_callbacks_and_an_empty_one_is_none() -> None:
    plain = whole("on_select")
    plain["error"] = {"code": "BIZ_PRICE_MISMATCH", "message": "dearer now"}
    found = messages.parse(raw(plain), "on_select").error
    assert found is not None
    assert found.code == "BIZ_PRICE_MISMATCH"
    plain["error"] = {}
    assert messages.parse(raw(plain), "on_select").error is None


@pytest.mark.parametrize(
    "name", ["action", "version", "transactionId", "messageId", "timestamp", "bapId"]
)
def test_the_context_must_have_what_no_schema_asks_for(name: str) -> None:
    plain = whole("select")
    del plain["context"][name]
    found = refusal(messages.parse, raw(plain), "select")
    assert (found.code, found.path) == (Code.CTX_MISSING_FIELD, f"$.context.{name}")


def test_a_discover_needs_no_receiver() -> None:
    message = messages.parse(raw(whole("discover", bppId=None, bppUri=None)), "discover")
    contexts.check_audience(message.envelope, message.action, "anyone")
    named = messages.parse(raw(whole("discover")), "discover")
    found = refusal(contexts.check_audience, named.envelope, named.action, "anyone")
    assert found.path == "$.context.bppId"


def test_our_contexts_pass_our_rules() -> None:
    made = contexts.write(
        "select",
        bap=("a", "http://a"),
        bpp=("b", "http://b"),
        transaction_id=whole("select")["context"]["transactionId"],
        message_id=whole("select")["context"]["messageId"],
        now=T0,
        network_id="n",
        try_=False,
        request_digest="BLAKE-512=AAAA==",
        schema_context=("https://schema.nfh.global/x",),
    )
    envelope = contexts.read(made, ACTIONS["select"])
    assert (envelope.timestamp, envelope.request_digest) == (T0, "BLAKE-512=AAAA==")
    assert moment_of(T0) == "2027-01-15T08:00:00.000Z"


TWINS = {
    "on_select",
    "init",
    "on_init",
    "confirm",
    "on_confirm",
    "update",
    "on_update",
    "cancel",
    "on_cancel",
}


@pytest.mark.parametrize("action", sorted(set(ACTIONS) - TWINS - {"status"}))
def test_odd_values_in_every_place_are_read_or_refused_and_never_crash(action: str) -> None:
    outcomes: set[Any] = set()
    count = len(places(whole(action)))
    for at in range(count):
        for odd in ODD:
            plain = whole(action)
            holder, key = places(plain)[at]
            holder[key] = odd
            try:
                outcomes.add(type(messages.parse(raw(plain), action)))
            except Refusal as found:
                outcomes.add(found.code.value[:4])
    assert outcomes == {messages.Message, "CTX_", "SCH_"}


# ---- packs


def series_bag(**more: Any) -> dict[str, Any]:
    marks = {"@context": f"{SCHEMA}BecknTimeSeries/v1.0/context.jsonld", "@type": "TimeSeries"}
    return {**marks, **grid({"CAPACITY_OFFERED": [40.0, 30.0]}, "seller"), **more}


def test_a_series_gives_its_grid_and_its_columns() -> None:
    found = packs.read(series_bag(), "$")
    assert series.grid_of(found, "$") == [
        (FIRST, FIRST + SLOT),
        (FIRST + SLOT, FIRST + 2 * SLOT),
    ]
    assert series.column(found, "CAPACITY_OFFERED", "$") == [40.0, 30.0]


@pytest.mark.parametrize("values", [[], [1, 2], ["40"], [True]])
def test_a_gap_in_a_column_is_an_error_and_never_a_zero(values: list[Any]) -> None:
    bag = series_bag()
    bag["intervals"][1]["payloads"][0]["values"] = values
    found = refusal(series.column, packs.read(bag, "$"), "CAPACITY_OFFERED", "$")
    assert found.path == "$.intervals[1].payloads"
    assert refusal(series.column, packs.read(series_bag(), "$"), "PRICE", "$").path.endswith(
        "[0].payloads"
    )


def flex(**more: Any) -> dict[str, Any]:
    return {
        "@context": packs.OWN_CONTEXT,
        "@type": "ComputeFlexOffer",
        "noticePeriod": "PT5M",
        "minActivation": "PT30M",
        "maxActivation": "PT4H",
        "maxDeferral": "PT12H",
        "reboundWindow": "PT6H",
        "ratedKw": 1200,
        "floorKw": 350,
        **more,
    }


def test_our_own_offer_is_read() -> None:
    found = packs.read(flex(certainty=0.9, curtailment=["HOLD_PENDING"]), "$")
    assert (found.rated_kw, found.certainty) == (1200.0, 0.9)


PACK = Code.SCH_ATTRIBUTE_PACK_INVALID


@pytest.mark.parametrize(
    ("bag", "code", "path"),
    [
        (flex(floorKw=2000), PACK, ".floorKw"),
        (flex(minActivation="PT5H"), PACK, ".minActivation"),
        (flex(noticePeriod="5 min"), Code.SCH_INVALID_FORMAT, ".noticePeriod"),
        (flex(jobs=["alice"]), PACK, ""),
        (flex(ratedKw=-1), PACK, ".ratedKw"),
        (series_bag(intervals=[]), PACK, ".intervals"),
        (series_bag(intervals=[{"id": 0, "payloads": []}] * 2), PACK, ".intervals"),
        (series_bag(intervalPeriod={"duration": "half an hour"}), Code.SCH_INVALID_FORMAT,
         ".intervalPeriod.duration"),
        ({"@context": f"{SCHEMA}RevenueFlow/v2.0", "@type": "RevenueFlow", "revenueFlows": [
            {"role": "buyer", "value": -3, "currency": "GBP"}]}, PACK, ".revenueFlows"),
        ({"@context": f"{SCHEMA}RevenueFlow/v2.0", "@type": "RevenueFlow", "revenueFlows": [
            {"role": "buyer", "value": 0, "currency": "pounds"}]}, PACK, ".revenueFlows[0].currency"),
        ({"@context": f"{SCHEMA}DEGContract/v2.0", "@type": "DEGContract", "roles": []}, PACK, ""),
        ({"@type": "TimeSeries"}, Code.SCH_REQUIRED_FIELD_MISSING, ".@context"),
        ({"@context": f"{SCHEMA}x"}, Code.SCH_REQUIRED_FIELD_MISSING, ".@type"),
        ({"@context": "https://evil.test/schema.nfh.global/", "@type": "X"},
         Code.SCH_INVALID_JSONLD_CONTEXT, ".@context"),
        ({"@context": "https://schema.nfh.global.evil.test/", "@type": "X"},
         Code.SCH_INVALID_JSONLD_CONTEXT, ".@context"),
        ({"@context": "file:///etc/passwd", "@type": "X"}, Code.SCH_INVALID_JSONLD_CONTEXT, ".@context"),
    ],
)  # fmt: skip
def test_a_bag_that_is_not_what_it_says_is_refused(
    bag: dict[str, Any], code: Code, path: str
) -> None:
    plain = whole("select")
    plain["message"]["contract"]["commitments"][0]["commitmentAttributes"] = bag
    found = refusal(messages.parse, raw(plain), "select")
    where = f"$.message.contract.commitments[0].commitmentAttributes{path}"
    assert (found.code, found.path) == (code, where)


def test_a_type_that_we_do_not_model_is_carried() -> None:
    plain = whole("select")
    bag = {"@context": f"{SCHEMA}SettlementTerm/v1", "@type": "SettlementTerm", "anything": [1]}
    plain["message"]["contract"]["contractAttributes"] = bag
    assert messages.parse(raw(plain), "select").plain_contract["contractAttributes"] == bag


def test_flows_are_read_when_they_sum_to_zero() -> None:
    flows = [{"role": r, "value": v, "currency": "GBP"} for r, v in (("buyer", -3), ("seller", 3))]
    bag = {"@context": f"{SCHEMA}RevenueFlow", "@type": "RevenueFlow", "revenueFlows": flows}
    assert packs.read(bag, "$").revenue_flows[1].value == 3


# ---- answers


@pytest.mark.parametrize(
    ("status", "body", "ack", "callback", "code"),
    [
        (200, {"message": {"status": "ACK", "messageId": "x"}}, True, True, ""),
        (200, {"message": {"ack": {"status": "ACK"}}}, True, True, ""),
        (200, {"status": "ACK", "signature": "s"}, True, True, ""),
        (200, {"ack_status": "ACK"}, True, True, ""),
        (202, {"message": {"status": "ACK", "error": {"code": "BIZ_NO_RESULTS_FOUND", "message": "-"}}},
         True, False, "BIZ_NO_RESULTS_FOUND"),
        (200, {"message": {"ack": {"status": "NACK"}, "error": {"code": "30004", "message": "-"}}},
         False, False, "30004"),
        (400, {"status": "NACK", "error": {"errorCode": "X", "errorMessage": "-"}}, False, False, "X"),
        (200, {"message": {"status": "ack"}}, False, False, ""),
        (200, {}, False, False, ""),
        (500, {"message": {"status": "ACK"}}, False, False, ""),
    ],
)  # fmt: skip
def test_all_shapes_of_answers_are_understood(
    status: int,
    body: dict[str, Any],
    ack: bool,  # noqa: FBT001
    callback: bool,  # noqa: FBT001
    code: str,
) -> None:
    heard = acks.hear(status, raw(body))
    assert (heard.ack, heard.callback, heard.code) == (ack, callback, code)


@given(body=st.binary(max_size=60), status=st.integers(100, 599))
def test_no_answer_crashes_the_reader(body: bytes, status: int) -> None:
    assert acks.hear(status, body).ack in {True, False}


def test_a_refusal_is_written_with_path_and_cause() -> None:
    body = json.loads(
        acks.nack("", Refusal(Code.BIZ_FULFILLMENT_UNAVAILABLE, "gone", "$.a", "SLURM_X"))
    )
    assert body["message"] == {
        "status": "NACK",
        "messageId": acks.NIL,
        "error": {
            "code": "BIZ_FULFILLMENT_UNAVAILABLE",
            "message": "gone",
            "details": {"path": "$.a", "cause": {"code": "SLURM_X", "message": "gone"}},
        },
    }


def test_codes_have_the_status_of_their_family() -> None:
    wanted = {
        Code.AUT_RATE_LIMITED: 429,
        Code.AUT_KEY_NOT_FOUND: 401,
        Code.POL_NP_DORMANT: 403,
        Code.NET_NOT_IMPLEMENTED: 404,
        Code.NET_TIMEOUT: 500,
        Code.CTX_TTL_EXPIRED: 400,
        Code.SCH_INVALID_JSON: 400,
    }
    assert {code: status_of(code) for code in wanted} == wanted
    assert len(Code) == 76
    assert Code.NET_NOT_IMPLEMENTED not in RETRYABLE
    assert Code.POL_NP_DORMANT in RETRYABLE
    assert is_synchronous(Code.CTX_TTL_EXPIRED)
    assert not is_synchronous(Code.BIZ_GENERIC_ERROR)


def test_the_published_schema_of_our_offer_says_what_the_struct_says() -> None:
    schema = msgspec.json.schema(packs.ComputeFlexOffer)
    fields = schema["$defs"]["ComputeFlexOffer"]["properties"]
    assert set(flex(certainty=1, curtailment=[])) - {"@context", "@type"} <= set(fields)
    assert fields["floorKw"]["minimum"] == 0
    assert not math.isnan(fields["certainty"]["maximum"])


def test_samples_are_of_every_action() -> None:
    assert all(sample(action) for action in ACTIONS)
    assert contract([1.0])["commitments"]
