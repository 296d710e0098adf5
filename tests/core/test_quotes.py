"""What a quote must say: all of the order, for its client, and now. docs/quotes.md is the contract."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payments.core.errors import QuoteRefused
from payments.core.model import Order
from payments.core.quotes import check_quote

NOW = 1_772_357_520
OFFER = Order(
    job_id=11,
    application_id=12,
    client_id=42,
    freelancer_id=77,
    payment_id=0,
    amount_minor=49950,
    currency="INR",
    receipt="",
)
CLAIMS: dict[str, Any] = {
    "aud": "payment-quote",
    "sub": "42",
    "job_id": 11,
    "application_id": 12,
    "freelancer_id": 77,
    "amount": "499.50",
    "currency": "INR",
    "iat": NOW - 60,
    "exp": NOW + 540,
}
TIMES = {"iat", "exp"}
TERMS = {
    "sub": "client_id",
    "job_id": "job_id",
    "application_id": "application_id",
    "freelancer_id": "freelancer_id",
    "amount": "amount",
    "currency": "currency",
}
"""Each claim about the order, and the field of the request that it is about."""


def refusal(**changes: Any) -> str:
    """What the client is told of a quote with other claims."""
    with pytest.raises(QuoteRefused) as refused:
        check_quote({**CLAIMS, **changes}, OFFER, NOW)
    (error,) = refused.value.errors
    assert error.field == "quote"
    return error.message


def test_a_quote_that_says_what_the_order_says_is_accepted() -> None:
    check_quote(CLAIMS, OFFER, NOW)


@pytest.mark.parametrize("amount", ["499.5", "499.50", "0499.50"])
def test_an_amount_may_be_written_in_any_way_that_the_body_may_write_it(amount: str) -> None:
    check_quote({**CLAIMS, "amount": amount}, OFFER, NOW)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_needed(name: str) -> None:
    with pytest.raises(QuoteRefused):
        check_quote({claim: value for claim, value in CLAIMS.items() if claim != name}, OFFER, NOW)


@pytest.mark.parametrize(("claim", "field"), TERMS.items())
def test_the_client_is_told_which_field_differs_and_no_value(claim: str, field: str) -> None:
    assert refusal(**{claim: "SECRET"}) == f"does not match the order in {field}: ask the platform for a new one"
    all_of_them = ", ".join(TERMS.values())
    message = refusal(**dict.fromkeys(TERMS, None))
    assert sorted(message.removeprefix("does not match the order in ").split(":")[0].split(", ")) == sorted(
        all_of_them.split(", ")
    )


# Whatever JSON can say, as `read_json` returns it.
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["42", "011", "11", "payment-quote", "499.5", "499.51", "INR", "inr", "USD"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(name=st.sampled_from(sorted(CLAIMS.keys() - TIMES)), value=JSON_VALUES)
def test_a_quote_with_any_single_claim_changed_is_refused(name: str, value: Any) -> None:
    same = type(value) is type(CLAIMS[name]) and value == CLAIMS[name]
    assume(not same)
    # Another way to write the same amount is not a change.
    assume(not (name == "amount" and value == "499.5"))
    refusal(**{name: value})


@given(
    name=st.sampled_from(["job_id", "application_id", "client_id", "freelancer_id", "amount_minor"]),
    value=st.integers(min_value=1, max_value=2**53 - 1),
)
def test_an_order_with_any_single_field_changed_is_refused(name: str, value: int) -> None:
    assume(value != getattr(OFFER, name))
    with pytest.raises(QuoteRefused):
        check_quote(CLAIMS, OFFER.model_copy(update={name: value}), NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("job_id", Decimal("11.0")),
        ("job_id", "11"),
        ("sub", 42),
        ("sub", "042"),
        ("sub", " 42"),
        ("amount", Decimal("499.50")),
        ("amount", 49950),
        ("amount", "49950"),
        ("amount", "499.500"),
        ("amount", "4.995e2"),
        ("amount", " 499.50"),
        ("amount", "\u0664\u0669\u0669.\u0665\u0660"),
        ("currency", "inr"),
        ("aud", ["payment-quote"]),
        ("aud", "payments"),
    ],
)
def test_the_same_value_in_another_type_or_spelling_is_refused(name: str, value: Any) -> None:
    refusal(**{name: value})


def test_true_is_not_the_id_1() -> None:
    offer = OFFER.model_copy(update={"job_id": 1})
    check_quote({**CLAIMS, "job_id": 1}, offer, NOW)
    with pytest.raises(QuoteRefused):
        check_quote({**CLAIMS, "job_id": True}, offer, NOW)


@pytest.mark.parametrize(("issued", "expires"), [(-60, 540), (0, 900), (-900, -29), (30, 60), (30, 930), (0, 1)])
def test_a_quote_is_valid_for_up_to_15_minutes_and_clocks_may_differ_by_30_seconds(issued: int, expires: int) -> None:
    check_quote({**CLAIMS, "iat": NOW + issued, "exp": NOW + expires}, OFFER, NOW)


@pytest.mark.parametrize(
    ("issued", "expires", "is_expired"),
    [
        (-600, -30, True),
        (-900, -31, True),
        (-1, 900, False),
        (0, 901, False),
        (31, 60, False),
        (0, 0, False),
        (10, -10, False),
        (-NOW, 10, False),
    ],
)
def test_an_expired_a_long_lived_or_a_future_quote_is_refused(issued: int, expires: int, *, is_expired: bool) -> None:
    message = refusal(iat=NOW + issued, exp=NOW + expires)
    assert message.startswith("has expired" if is_expired else "is not a valid quote")
    assert message.endswith("ask the platform for a new one")


def test_a_quote_is_not_valid_before_its_nbf() -> None:
    check_quote({**CLAIMS, "nbf": NOW + 30}, OFFER, NOW)
    refusal(nbf=NOW + 31)
    refusal(nbf=None)


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", [None, True, "1772357520", Decimal("1772357520.0"), -1, 2**63, [NOW], {}])
def test_a_time_that_is_not_a_number_of_whole_seconds_is_refused(name: str, value: Any) -> None:
    refusal(**{name: value})


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("another audience", {"aud": "payments"}),
        ("issued in the future", {"iat": NOW + 60}),
        ("issued in the future", {"nbf": NOW + 60}),
        ("a lifetime that is not allowed", {"exp": NOW + 901}),
        ("expired", {"iat": NOW - 600, "exp": NOW - 60}),
        ("no exp in whole seconds", {"exp": "soon"}),
        ("differs", {"amount": "499.51"}),
    ],
)
def test_the_log_says_why_a_quote_is_refused(why: str, changes: dict[str, Any]) -> None:
    with pytest.raises(QuoteRefused) as refused:
        check_quote({**CLAIMS, **changes}, OFFER, NOW)
    assert refused.value.why == why
