import json
import time
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from payments.core.errors import InvalidRequest, MalformedRequest
from payments.core.model import MAX_ID
from payments.core.wire import Body, CreateOrderBody, VerifyBody, read_json

ORDERED = {"job_id": 1, "application_id": 2, "client_id": 3, "freelancer_id": 4, "amount": "499.50"}
VERIFIED = {
    "razorpay_order_id": "order_DESlLckIVRkHWj",
    "razorpay_payment_id": "pay_DESlfW9H8K9uqM",
    "razorpay_signature": "0" * 64,
}


# --- the reader -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"   ", id="blank"),
        pytest.param(b"{", id="unfinished"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="trailing comma"),
        pytest.param(b'{"a":1,"a":1}', id="duplicate key"),
        pytest.param(b'{"b":{"a":1,"a":2}}', id="duplicate key further in"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="duplicate key, escaped"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":Infinity}', id="Infinity"),
        pytest.param(b'{"a":-Infinity}', id="minus Infinity"),
        pytest.param(b"[" * 65 + b"]" * 65, id="65 levels"),
        pytest.param(b"[" * 59 + b"[]," + b"[" * 6 + b"]" * 65, id="65 levels after one was closed"),
        pytest.param(b"[" * 60_000, id="60,000 brackets"),
        pytest.param(b'{"a":' * 60_000, id="60,000 braces"),
        pytest.param(b'{"a":"\\ud800"}', id="lone high surrogate"),
        pytest.param(b'{"a":"\\udc00 x"}', id="lone low surrogate"),
        pytest.param(b'{"\\ud800":1}', id="lone surrogate in a key"),
        pytest.param(b'[[["\\ud800"]]]', id="lone surrogate further in"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b'{"a":' + b"9" * 65 + b"}", id="long integer"),
        pytest.param(b'{"a":' + b"9" * 5_000 + b"}", id="endless integer"),
        pytest.param(b'{"a":0.' + b"9" * 5_000 + b"}", id="endless decimals"),
        pytest.param(b'{"a":1e9999999999999999999}', id="endless exponent"),
        pytest.param(b'{"a":1e-9999999999999999999}', id="endless negative exponent"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param('{"a":1}'.encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"a":"\xc0\xaf"}', id="overlong UTF-8"),
        pytest.param(b'{"a":"\n"}', id="control character"),
        pytest.param(b'{"a":01}', id="leading zero"),
        pytest.param(b'{"a":+1}', id="plus sign"),
        pytest.param(b"\x00", id="null byte"),
    ],
)
def test_what_readers_could_understand_differently_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        read_json(body)
    assert str(refusal.value) == "The body is not well-formed JSON."


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[" * 65 + b"]" * 65, "nested too deeply"),
        (b'{"a":' * 32 + b"[" * 33 + b"]" * 33 + b"}" * 32, "nested too deeply"),
        (b"9" * 65, "a number of too many digits"),
        (b"1e9999999999999999999", "a number beyond all bounds"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b'{"a":1,"a":2}', "a key occurs twice"),
    ],
)
def test_why_a_body_is_no_json_is_kept_for_the_log(body: bytes, why: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        read_json(body)
    assert str(refusal.value.__cause__) == why


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":1.10}', {"a": Decimal("1.10")}),
        (b'{"a":1e2}', {"a": Decimal("1E+2")}),
        (b"9007199254740993", 9007199254740993),
        (b"[" + b"[]," * 99 + b"{}]", [[]] * 99 + [{}]),
        (b"1" * 64, int("1" * 64)),
        (b"0." + b"1" * 62, Decimal("0." + "1" * 62)),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
        (b"[" + b"[" * 63 + b"]" * 63 + b",{}]", [json.loads("[" * 63 + "]" * 63), {}]),
        (json.dumps("[" * 100).encode(), "[" * 100),
        (b'"\\"[[' + b"[" * 100 + b'"', '"[[' + "[" * 100),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"é😀"'.encode(), "é😀"),
        (b"null", None),
    ],
)
def test_plain_json_is_read_and_numbers_stay_exact(body: bytes, value: object) -> None:
    assert read_json(body) == value


def test_a_key_that_occurs_twice_is_forgiven_where_the_sender_is_proven() -> None:
    assert read_json(b'{"a":1,"a":2}', unique_keys=False) == {"a": 2}


@pytest.mark.parametrize("end", [b"", b"\\", b'"'])
def test_a_string_of_escaped_quotes_is_read_in_a_moment(end: bytes) -> None:
    began = time.process_time()
    with pytest.raises(MalformedRequest):
        read_json(b'["' + b'\\"' * 32_000 + end)
    assert time.process_time() - began < 1  # it takes milliseconds; backtracking took half a minute


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-(10**60), max_value=10**60) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_whatever_is_plain_json_is_read_as_it_was_written(value: Any, ascii_only: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary() | st.text(alphabet='{}[]",:\\u0dea 1.').map(str.encode))
def test_any_bytes_at_all_are_json_or_refused(body: bytes) -> None:
    with suppress(MalformedRequest):
        json.dumps(read_json(body), default=str).encode()


# --- create-order ---------------------------------------------------------------------------------------------------


def ordered(**changes: object) -> bytes:
    return json.dumps({**ORDERED, **changes}).encode()


def fields(refusal: pytest.ExceptionInfo[InvalidRequest]) -> dict[str, str]:
    return {error.field: error.message for error in refusal.value.errors}


def test_an_order_is_read_with_its_amount_in_minor_units() -> None:
    offer = CreateOrderBody.read(ordered(job_id=MAX_ID)).to_offer(frozenset({"INR"}))
    assert (offer.job_id, offer.application_id, offer.client_id, offer.freelancer_id) == (MAX_ID, 2, 3, 4)
    assert (offer.amount_minor, offer.currency) == (49_950, "INR")
    assert (offer.payment_id, offer.receipt) == (0, "")  # not numbered yet


def test_the_very_first_of_everything_is_an_order_too() -> None:
    for client, freelancer in ((1, 2), (2, 1)):
        body = ordered(job_id=1, application_id=1, client_id=client, freelancer_id=freelancer)
        offer = CreateOrderBody.read(body).to_offer(frozenset({"INR"}))
        assert (offer.job_id, offer.application_id, offer.client_id, offer.freelancer_id) == (1, 1, client, freelancer)


def test_nobody_can_be_the_client_and_the_freelancer_of_one_order() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(ordered(client_id=7, freelancer_id=7)).to_offer(frozenset({"INR"}))
    assert fields(refusal) == {"freelancer_id": "must not equal client_id: nobody can pay themselves"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"freelancer_id": 3, "amount": "0.5"}, ["freelancer_id", "amount"]),
        ({"freelancer_id": 3, "currency": "USD"}, ["freelancer_id", "currency"]),
    ],
)
def test_what_does_not_go_together_is_named_beside_what_cannot_be_paid(wrong: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(ordered(**wrong)).to_offer(frozenset({"INR"}))
    assert [error.field for error in refusal.value.errors] == named


@pytest.mark.parametrize("written", ["499.5", "499.50", '"499.50"', "4.995e2"])
def test_an_amount_may_be_a_number_or_a_decimal_string(written: str) -> None:
    body = ordered().replace(b'"499.50"', written.encode())
    assert CreateOrderBody.read(body).to_offer(frozenset({"INR"})).amount_minor == 49_950


IDS = ("job_id", "application_id", "client_id", "freelancer_id")


# Its JSON type, by its notation.
KINDS = {
    "true": "a boolean",
    "false": "a boolean",
    "1.0": "a decimal number",
    "1.5": "a decimal number",
    "1e0": "a decimal number",
    '"1"': "a string",
    '""': "a string",
    "1": "an integer",
    "null": "null",
    "[1]": "an array",
    "{}": "an object",
}


def refused(name: str, written: str) -> dict[str, str]:
    """The problems reported for a create-order body in which one field is written like this."""
    body = json.dumps({key: value for key, value in ORDERED.items() if key != name})[:-1] + f', "{name}": {written}}}'
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(body.encode()).to_offer(frozenset({"INR"}))
    return fields(refusal)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("written", [written for written, kind in KINDS.items() if kind != "an integer"])
def test_an_id_of_another_kind_is_refused_with_the_kind_that_it_is_of(name: str, written: str) -> None:
    assert refused(name, written) == {name: f"must be an integer, not {KINDS[written]}"}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("written", ["0", "-0", "-1", str(MAX_ID + 1), "9" * 60])
def test_an_id_is_a_positive_integer_that_a_double_holds(name: str, written: str) -> None:
    assert refused(name, written) == {name: "must be an integer from 1 to 9007199254740991"}


@pytest.mark.parametrize("written", [written for written, kind in KINDS.items() if kind != "a string"])
def test_a_currency_of_another_kind_is_refused_with_the_kind_that_it_is_of(written: str) -> None:
    assert refused("currency", written) == {"currency": f"must be a string, not {KINDS[written]}"}


@pytest.mark.parametrize("written", ["true", "false", "null", "[1]", "{}"])
def test_an_amount_of_another_kind_is_refused_with_the_kind_that_it_is_of(written: str) -> None:
    assert refused("amount", written) == {"amount": f"must be a number or a decimal string, not {KINDS[written]}"}


@pytest.mark.parametrize("written", ['"x"', '""', '"1,000"', '" 1"', '"+1"', '"1e3"', '"1."', '"00000000000000001"'])
def test_a_text_that_is_no_amount_is_told_what_one_looks_like(written: str) -> None:
    assert refused("amount", written) == {
        "amount": "must be a decimal string such as 499.50, with at most 16 digits before the point and 4 after it"
    }


def test_every_missing_field_is_named() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(b"{}")
    assert fields(refusal) == dict.fromkeys((*IDS, "amount"), "is required")


@pytest.mark.parametrize("name", ["status", "Amount", "amount_minor", "__proto__"])
def test_an_unknown_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(ordered(**{name: 1}))
    assert fields(refusal) == {name: "is not a known field"}


def test_a_field_name_that_could_carry_anything_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(ordered(**{"<script>someone@example.com": 1}))
    assert fields(refusal) == {"(unprintable)": "is not a known field"}


def test_a_refusal_tells_our_own_fields_from_those_that_a_caller_named() -> None:
    with pytest.raises(
        InvalidRequest, match=r"^job_id must be an integer, not a string; \(another\) is not a known field$"
    ) as refusal:
        CreateOrderBody.read(ordered(job_id="x", favourite="someone"))
    assert {error.field: error.ours for error in refusal.value.errors} == {"job_id": True, "favourite": False}


@pytest.mark.parametrize(
    ("currency", "message"),
    [
        ("USD", "must be one of INR"),
        ("inr", "must be one of INR"),
        ("", "must be one of INR"),
        (None, "must be a string, not null"),
        (5, "must be a string, not an integer"),
    ],
)
def test_a_currency_that_is_not_offered_is_refused(currency: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(ordered(currency=currency)).to_offer(frozenset({"INR"}))
    assert fields(refusal) == {"currency": message}


def test_the_currencies_on_offer_are_listed_in_order() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(ordered(currency="EUR")).to_offer(frozenset({"USD", "INR", "AED"}))
    assert fields(refusal) == {"currency": "must be one of AED, INR, USD"}


def test_a_configured_currency_that_razorpay_does_not_list_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        CreateOrderBody.read(ordered(currency="XXX")).to_offer(frozenset({"XXX"}))


@pytest.mark.parametrize("amount", [True, None, 0, "1.001", "1e3", [], {}, " 1"])
def test_an_amount_that_cannot_be_paid_is_refused_in_our_words(amount: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        CreateOrderBody.read(ordered(amount=amount)).to_offer(frozenset({"INR"}))
    assert list(fields(refusal)) == ["amount"]
    assert fields(refusal)["amount"].startswith("must ")


@pytest.mark.parametrize(
    ("bound", "most"),
    [
        (None, "99999999.99"),
        (Decimal("499.50"), "499.50"),
        (Decimal(10**12), "99999999.99"),
    ],
)
def test_an_amount_above_the_setting_or_what_the_service_takes_at_all_is_refused(
    bound: Decimal | None, most: str
) -> None:
    body = CreateOrderBody.read(ordered(amount=most))
    assert body.to_offer(frozenset({"INR"}), bound).amount_minor == int(Decimal(most) * 100)
    more = CreateOrderBody.read(ordered(amount=str(Decimal(most) + Decimal("0.01"))))
    with pytest.raises(InvalidRequest) as refusal:
        more.to_offer(frozenset({"INR"}), bound)
    assert fields(refusal) == {"amount": f"must be from 1.00 to {most}"}


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_a_body_that_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"^The body must be a JSON object\.$"):
        CreateOrderBody.read(body)


class Checkout(Body):
    order_id: str


class Nested(Body):
    """A body with a nested field, and a field of a type that none of our bodies has."""

    checkout: Checkout
    urgent: bool


def test_a_field_within_a_field_is_named_by_its_path_and_a_rule_without_words_as_broken() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        Nested.read(b'{"checkout": {"order_id": 5}, "urgent": "yes"}')
    assert fields(refusal) == {"checkout.order_id": "must be a string, not an integer", "urgent": "is not valid"}


# --- verify ---------------------------------------------------------------------------------------------------------

NO_ORDER_ID = "must be a Razorpay order id: order_ and 14 letters or digits"
NO_PAYMENT_ID = "must be a Razorpay payment id: pay_ and 14 letters or digits"


def test_the_three_fields_of_checkout_are_read() -> None:
    assert VerifyBody.read(json.dumps(VERIFIED).encode()).model_dump() == VERIFIED


@pytest.mark.parametrize("signature", ["", "é", "x" * 5_000, "0" * 63])
def test_any_text_may_stand_for_a_signature_until_it_is_checked(signature: str) -> None:
    body = json.dumps({**VERIFIED, "razorpay_signature": signature}).encode()
    assert VerifyBody.read(body).razorpay_signature == signature


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("razorpay_order_id", "order_DESlLckIVRkHWj\n", NO_ORDER_ID),
        ("razorpay_order_id", "order_DESlLckIVRkHW", NO_ORDER_ID),
        ("razorpay_order_id", "pay_DESlLckIVRkHWj", NO_ORDER_ID),
        ("razorpay_order_id", "order_../../../../..", NO_ORDER_ID),
        ("razorpay_order_id", "order_DESlLckIVRkHWé", NO_ORDER_ID),
        ("razorpay_order_id", None, "must be a string, not null"),
        ("razorpay_payment_id", " pay_DESlfW9H8K9uqM", NO_PAYMENT_ID),
        ("razorpay_payment_id", 5, "must be a string, not an integer"),
        ("razorpay_payment_id", "", NO_PAYMENT_ID),
        ("razorpay_signature", None, "must be a string, not null"),
        ("razorpay_signature", True, "must be a string, not a boolean"),
        ("razorpay_signature", ["0"], "must be a string, not an array"),
    ],
)
def test_what_checkout_never_sends_is_refused_by_field(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        VerifyBody.read(json.dumps({**VERIFIED, name: value}).encode())
    assert fields(refusal) == {name: message}


def test_what_razorpay_adds_to_checkouts_object_is_ignored() -> None:
    body = {**VERIFIED, "org_logo": None, "status_code": 200, "x y": [1]}
    assert VerifyBody.read(json.dumps(body).encode()) == VerifyBody(**VERIFIED)


@given(st.dictionaries(st.sampled_from([*ORDERED, *VERIFIED, "currency", "x y"]), JSON))
def test_a_refusal_never_speaks_a_librarys_words(body: dict[str, Any]) -> None:
    said = []
    for kind in (CreateOrderBody, VerifyBody):
        try:
            kind.read(json.dumps(body).encode())
        except InvalidRequest as refusal:
            said += [error.message for error in refusal.errors]
    assert all(message.startswith(("is required", "is not ", "must ")) for message in said)


def test_what_was_read_cannot_be_changed() -> None:
    body = CreateOrderBody.read(ordered())
    with pytest.raises(ValidationError, match="frozen"):
        body.client_id = 7  # type: ignore[misc]  # what is tried
