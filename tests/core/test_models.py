"""The models: what each accepts and refuses, field by field, and what you may do with one.

Expected values come from the contract (docs/openapi.yaml) and from Razorpay's documents, not from the models.
"""

import re
from copy import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from payments.core.entities import (
    Enclosed,
    ListedOrder,
    ListedPayment,
    ListedRefund,
    OrderNotes,
    OrderReference,
    PaymentEntity,
    PaymentPayload,
    RefundEntity,
    RefundPayload,
)
from payments.core.model import (
    Application,
    Attempt,
    HistoryEntry,
    KnownRefund,
    Model,
    Order,
    PendingEvent,
    Record,
    Refund,
    Review,
)
from payments.core.wire import CreateOrderBody, VerifyBody

LAST_ID = 9_007_199_254_740_991  # 2^53 - 1

ORDER_ID = "order_DESlLckIVRkHWj"
PAYMENT_ID = "pay_DESlfW9H8K9uqM"
REFUND_ID = "rfnd_FS8TWyPrCsa0OB"
PARTIES = {"job_id": 1, "application_id": 2, "client_id": 3, "freelancer_id": 4}
PAYMENT = {"id": PAYMENT_ID, "amount": 49_950, "currency": "INR"}
REFUND = {"id": REFUND_ID, "payment_id": PAYMENT_ID, "amount": 1}
CHECKOUT = {"razorpay_order_id": ORDER_ID, "razorpay_payment_id": PAYMENT_ID, "razorpay_signature": "0" * 64}
NOTED = {"service": "payment-service", "stage": "local", "payment_id": "7", **PARTIES}

# A minimal valid document for each.
FITTING: dict[type[Model], dict[str, Any]] = {
    CreateOrderBody: {**PARTIES, "amount": "499.50"},
    VerifyBody: CHECKOUT,
    PaymentEntity: PAYMENT,
    ListedPayment: PAYMENT,
    RefundEntity: REFUND,
    ListedRefund: {**REFUND, "status": "processed"},
    ListedOrder: {"id": ORDER_ID, "amount": 1, "currency": "INR", "created_at": 0},
    OrderNotes: NOTED,
    OrderReference: {"id": ORDER_ID},
    PaymentPayload: {"payment": {"entity": PAYMENT}},
    RefundPayload: {"payment": {"entity": PAYMENT}, "refund": {"entity": REFUND}},
}
MODELS = sorted(FITTING, key=lambda model: model.__name__)

INTEGERS: tuple[object, ...] = (0, -1, 1, 7, LAST_ID, LAST_ID + 1, 10**30)
TEXTS = (
    "",
    "a.b.c",
    "a.b.",
    "a.b.c\n",
    "7",
    "007",
    "\u0667",
    "INR",
    "inr",
    "INR\n",
    "captured",
    "payment_cancelled",
    "a word",
    "true",
    "no",
)
IDS = (
    ORDER_ID,
    PAYMENT_ID,
    REFUND_ID,
    f"{ORDER_ID}\n",
    f" {PAYMENT_ID}",
    "pay_",
    f"{REFUND_ID}A",
    "order_DESlLckIVRkHWé",
)
OTHERS: tuple[object, ...] = (None, True, False, 1.0, Decimal(1), Decimal("1.5"), [], [1], {}, {"id": ORDER_ID})
ANYTHING = (*INTEGERS, *TEXTS, *IDS, *OTHERS)


def integer(least: int) -> Any:
    """An integer within bounds: no text, boolean or decimal number."""
    return lambda value: type(value) is int and least <= value <= LAST_ID


def form(expression: str) -> Any:
    return lambda value: isinstance(value, str) and re.fullmatch(expression, value, re.ASCII) is not None


def text(value: object) -> bool:
    return isinstance(value, str)


def anything(_: object) -> bool:
    return True


def noted(value: object) -> bool:
    """An id in Razorpay's notes, which are texts; JSON also allows numbers."""
    digits = isinstance(value, str) and re.fullmatch(r"[0-9]+", value) is not None
    return bool(integer(1)(int(str(value)) if digits else value))


def optional(rule: Any) -> Any:
    return lambda value: value is None or rule(value)


def boolean(value: object) -> bool:
    """A boolean, but no substitute for one."""
    return value in {0, 1, "true", "no"} if isinstance(value, int | float | str | Decimal) else False


order_id, payment_id = form("order_[A-Za-z0-9]{14}"), form("pay_[A-Za-z0-9]{14}")
refund_id = form("rfnd_[A-Za-z0-9]{14}")
_PAYMENT = {
    "id": payment_id,
    "order_id": optional(order_id),
    "amount": integer(0),
    "currency": form("[A-Z]{3}"),
    "status": optional(text),
    "captured": optional(boolean),
    "method": anything,
    "error_code": anything,
    "error_reason": anything,
    "fee": anything,
    "amount_refunded": anything,
    "created_at": anything,
}
_REFUND = {"id": refund_id, "payment_id": payment_id, "amount": integer(1), "created_at": anything, "notes": anything}

# A purchase's fields besides its parties.
OPTIONAL: dict[str, Any] = {}

# Every field that is read, and what it accepts.
RULES: dict[type[Model], dict[str, Any]] = {
    CreateOrderBody: {
        **dict.fromkeys(PARTIES, integer(1)),
        **OPTIONAL,
        "amount": anything,
        "currency": text,
        "quote": form(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
    },
    VerifyBody: {"razorpay_order_id": order_id, "razorpay_payment_id": payment_id, "razorpay_signature": text},
    PaymentEntity: _PAYMENT,
    ListedPayment: _PAYMENT,
    RefundEntity: _REFUND,
    ListedRefund: {**_REFUND, "status": text},
    ListedOrder: {
        "id": text,
        "amount": integer(1),
        "currency": text,
        "status": optional(text),
        "receipt": optional(text),
        "notes": anything,
        "created_at": integer(0),
    },
    OrderNotes: {
        **dict.fromkeys((*PARTIES, "payment_id"), noted),
        **OPTIONAL,
        "service": text,
        "stage": text,
        "installation": optional(text),
    },
    OrderReference: {"id": order_id},
}
FIELDS = [(model, name) for model in MODELS if model in RULES for name in RULES[model]]


def refusals(model: type[Model], document: object) -> set[str]:
    """The places that are wrong, each as a path."""
    try:
        model.model_validate(document)
    except ValidationError as error:
        return {".".join(map(str, item["loc"])) for item in error.errors()}
    return set()


@pytest.mark.parametrize("model", MODELS)
def test_the_least_that_a_document_must_have_is_enough(model: type[Model]) -> None:
    assert refusals(model, FITTING[model]) == set()


@pytest.mark.parametrize("model", MODELS)
def test_each_of_it_is_required(model: type[Model]) -> None:
    for name in FITTING[model]:
        rest = {key: value for key, value in FITTING[model].items() if key != name}
        assert refusals(model, rest) == {name}


@pytest.mark.parametrize("model", RULES)
def test_the_rules_here_are_for_every_field_that_is_read(model: type[Model]) -> None:
    assert RULES[model].keys() == model.model_fields.keys()


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_a_field_takes_what_is_documented_and_refuses_the_rest_in_its_place(model: type[Model], name: str) -> None:
    for value in ANYTHING:
        wrong = refusals(model, {**FITTING[model], name: value})
        assert wrong == (set() if RULES[model][name](value) else {name}), value


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_whatever_comes_is_taken_or_refused_and_nothing_else(model: type[Model], name: str) -> None:
    @given(st.text(max_size=12) | st.integers() | st.lists(st.text(max_size=3), max_size=2) | st.none())
    def judged(value: object) -> None:
        assert refusals(model, {**FITTING[model], name: value}) <= {name}

    judged()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("document", [None, True, 1, "text", [], [1], Decimal(1)])
def test_what_is_no_object_is_refused_as_a_whole(model: type[Model], document: object) -> None:
    assert refusals(model, document) == {""}


@pytest.mark.parametrize("model", MODELS)
def test_only_the_body_that_is_ours_alone_refuses_what_it_does_not_know(model: type[Model]) -> None:
    wrong = refusals(model, {**FITTING[model], "another": 1})
    assert wrong == ({"another"} if model is CreateOrderBody else set())


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("method", "netbanking", "netbanking"),
        ("error_reason", "payment_cancelled", "payment_cancelled"),
        ("error_code", "BAD_REQUEST_ERROR", "BAD_REQUEST_ERROR"),
        ("method", "a word of two", None),
        ("method", "9876543210", None),
        ("error_code", "x" * 65, None),
        ("error_reason", 5, None),
        ("fee", 0, 0),
        ("fee", LAST_ID, LAST_ID),
        ("fee", LAST_ID + 1, None),
        ("amount_refunded", -1, None),
        ("created_at", "1", None),
        ("created_at", True, None),
        ("fee", Decimal(1), None),
        ("captured", 1, True),
        ("captured", "no", False),
    ],
)
def test_what_is_worth_having_only_where_it_is_sound_is_left_out_otherwise(
    name: str, value: object, read: object
) -> None:
    entity = PaymentEntity.model_validate({**PAYMENT, name: value})
    assert getattr(entity, name) is read or getattr(entity, name) == read


@pytest.mark.parametrize("value", ["7", 7, "007"])
def test_an_id_in_the_notes_may_be_a_text(value: object) -> None:
    assert OrderNotes.model_validate({**NOTED, "client_id": value}).client_id == 7


def test_the_notes_of_an_order_are_texts_and_are_read_as_what_was_noted() -> None:
    notes = OrderNotes(**PARTIES, service="payment-service", stage="local", installation="1f2e3d4c", payment_id=7)
    assert notes.texts() == {
        "service": "payment-service",
        "stage": "local",
        "installation": "1f2e3d4c",
        "payment_id": "7",
        "job_id": "1",
        "application_id": "2",
        "client_id": "3",
        "freelancer_id": "4",
    }
    assert OrderNotes.model_validate(notes.texts()) == notes


def test_a_place_within_an_entity_is_named_by_its_path() -> None:
    document = {"payment": {"entity": {**PAYMENT, "amount": "1"}}, "order": {"entity": {"id": "order_"}}}
    assert refusals(PaymentPayload, document) == {"payment.entity.amount", "order.entity.id"}
    assert refusals(RefundPayload, {"payment": PAYMENT, "refund": None}) == {"payment.entity", "refund"}


# --- what you may do with one -----------------------------------------------------------------------------------------

ORDER = Order(**PARTIES, payment_id=7, amount_minor=49_950, currency="INR", receipt="local-7")


def every_model(kind: type[Model] = Model) -> set[type[Model]]:
    return {kind}.union(*map(every_model, kind.__subclasses__()))


def test_none_of_them_can_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ORDER.amount_minor = 1  # type: ignore[misc]  # what is tried
    stored = {Application, Attempt, HistoryEntry, KnownRefund, Order, PendingEvent, Record, Refund, Review}
    assert {*MODELS, *stored, Enclosed} <= every_model()
    assert all(model.model_config.get("frozen") for model in every_model())


def test_what_was_agreed_has_attributes_of_its_own_beside_the_rest_of_a_record() -> None:
    # Both are attributes of one item in the table.
    attributes = [{field.alias or name for name, field in model.model_fields.items()} for model in (Order, Record)]
    assert attributes[0] & attributes[1] == set()


def test_only_the_table_reads_a_field_by_the_name_of_its_attribute() -> None:
    # docs/data-model.md has `payment` and `amount`.
    stored = {"payment": PAYMENT_ID, "amount": 1, "state": "created"}
    with pytest.raises(ValidationError, match=r"(?s)payment_id.*amount_minor"):
        Refund.model_validate(stored)
    assert Refund.model_validate(stored, by_alias=True).payment_id == PAYMENT_ID


def test_a_replaced_field_leaves_the_original_as_it_was() -> None:
    dearer = replace(ORDER, amount_minor=1)
    assert (ORDER.amount_minor, dearer.amount_minor) == (49_950, 1)
    assert replace(dearer, amount_minor=49_950) == ORDER != dearer


def test_a_field_that_there_is_not_cannot_be_replaced() -> None:
    with pytest.raises(TypeError, match=r"^Order has no amount, color$"):
        replace(ORDER, amount=1, color="red")


def test_what_a_refused_field_held_is_not_told() -> None:
    with pytest.raises(ValidationError) as refusal:
        PaymentEntity.model_validate({**PAYMENT, "amount": "asha@example.com"})
    assert "asha" not in str(refusal.value)
