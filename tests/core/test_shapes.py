"""The shapes against pydantic's own models of the same fields: what one takes, the other takes, and makes the same of.

The models are written here once more, as one would write them with pydantic. What they find wrong must be found wrong
by the shapes, in the same places and of the same kind.
"""

import re
from dataclasses import FrozenInstanceError, asdict, dataclass
from decimal import Decimal
from typing import Annotated, Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import ValidationError

from payments.core import listing, webhooks, wire
from payments.core.model import MAX_ID
from payments.core.shapes import ANYTHING, BOOLEAN, STRING, Shape, after, inside, integer, matching, optional

type Identity = Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
type OrderId = Annotated[str, Field(pattern=r"\Aorder_[A-Za-z0-9]{14}\z")]
type PaymentId = Annotated[str, Field(pattern=r"\Apay_[A-Za-z0-9]{14}\z")]
type RefundId = Annotated[str, Field(pattern=r"\Arfnd_[A-Za-z0-9]{14}\z")]


def word(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"(?!\w*[0-9]{5})[A-Za-z0-9_]{1,64}", value) else None


def decimal(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]+", value) else value


type Word = Annotated[str | None, BeforeValidator(word)]
type NotedId = Annotated[int, BeforeValidator(decimal), Field(strict=True, ge=1, le=MAX_ID)]


def _number(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID
    return value if is_number else None


Number = Annotated[int | None, BeforeValidator(_number)]
"""Worth having where it is one."""


class CreateOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    job_id: Identity
    application_id: Identity
    client_id: Identity
    freelancer_id: Identity
    amount: Any
    currency: str = "INR"


class Verify(BaseModel):
    razorpay_order_id: OrderId
    razorpay_payment_id: PaymentId
    razorpay_signature: str


class Payment(BaseModel):
    id: PaymentId
    order_id: OrderId | None = None
    amount: Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]
    currency: Annotated[str, Field(pattern=r"\A[A-Z]{3}\z")]
    status: str | None = None
    captured: bool | None = None
    method: Word = None
    error_code: Word = None
    error_reason: Word = None
    fee: Number = None
    amount_refunded: Number = None
    created_at: Number = None


class ListedPayment(Payment):
    pass


class Refund(BaseModel):
    id: RefundId
    payment_id: PaymentId
    amount: Identity
    created_at: Number = None


class ListedRefund(Refund):
    status: str


class ListedOrder(BaseModel):
    id: str
    amount: Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
    currency: str
    status: str | None = None
    receipt: str | None = None
    notes: Any = None
    created_at: Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]


class Notes(BaseModel):
    service: str
    stage: str
    installation: str | None = None
    payment_id: NotedId
    job_id: NotedId
    application_id: NotedId
    client_id: NotedId
    freelancer_id: NotedId


PAYMENT = {"id": "pay_DESlfW9H8K9uqM", "amount": 49_950, "currency": "INR"}
REFUND = {"id": "rfnd_FS8TWyPrCsa0OB", "payment_id": "pay_DESlfW9H8K9uqM", "amount": 1}
PARTIES = {"job_id": 1, "application_id": 2, "client_id": 3, "freelancer_id": 4}
CHECKOUT = {
    "razorpay_order_id": "order_DESlLckIVRkHWj",
    "razorpay_payment_id": "pay_DESlfW9H8K9uqM",
    "razorpay_signature": "0" * 64,
}
ORDER = {"id": "order_DESlLckIVRkHWj", "amount": 1, "currency": "INR", "created_at": 0}
NOTED = {"service": "payment-service", "stage": "local", "payment_id": "7", **PARTIES}

# Model, shape, and a document that fits both.
CASES: list[tuple[type[BaseModel], Shape[Any], dict[str, Any]]] = [
    (CreateOrder, wire._CREATE_ORDER, {**PARTIES, "amount": "499.50"}),  # noqa: SLF001 - what is compared
    (Verify, wire._VERIFY, CHECKOUT),  # noqa: SLF001 - as above
    (Payment, Shape(webhooks.PaymentEntity, webhooks.PAYMENT_MEMBERS), PAYMENT),
    (Refund, Shape(webhooks.RefundEntity, webhooks.REFUND_MEMBERS), REFUND),
    (ListedPayment, listing._PAYMENT, PAYMENT),  # noqa: SLF001 - as above
    (ListedRefund, listing._REFUND, {**REFUND, "status": "processed"}),  # noqa: SLF001 - as above
    (ListedOrder, listing._ORDER, ORDER),  # noqa: SLF001 - as above
    (Notes, listing._NOTES, NOTED),  # noqa: SLF001 - as above
]

# What a dataclass calls differently from a model.
SAME_KINDS = {"unexpected_keyword_argument": "extra_forbidden", "dataclass_type": "model_type"}

TELLING = st.sampled_from(
    [
        *("order_DESlLckIVRkHWj", "pay_DESlfW9H8K9uqM", "rfnd_FS8TWyPrCsa0OB", "order_DESlLckIVRkHWj\n", "pay_"),
        *(
            "INR",
            "inr",
            "INR\n",
            "captured",
            "payment_cancelled",
            "a word of 12345",
            "",
            "7",
            "007",
            "\u0667",
            "true",
            "no",
        ),
        *(0, 1, -1, 7, MAX_ID, MAX_ID + 1, True, False, None, Decimal(1), Decimal("1.5"), [], {}, [1], {"id": 1}),
    ]
)
ANY_VALUE = TELLING | st.text(max_size=12) | st.integers() | st.recursive(TELLING, st.lists)


ABSENT = object()


def outcome(read: Any, document: object) -> object:
    """What becomes of it: the fields, or what is wrong where."""
    try:
        made = read(document)
    except ValidationError as error:
        return sorted(
            (".".join(map(str, item["loc"])), SAME_KINDS.get(item["type"], item["type"])) for item in error.errors()
        )
    return made.model_dump() if isinstance(made, BaseModel) else asdict(made)


@pytest.mark.parametrize(("model", "shape", "fitting"), CASES, ids=[model.__name__ for model, *_ in CASES])
def test_a_shape_takes_and_refuses_what_the_model_of_the_same_fields_does(
    model: type[BaseModel], shape: Shape[Any], fitting: dict[str, Any]
) -> None:
    assert isinstance(outcome(model.model_validate, fitting), dict)
    names = st.sampled_from([*model.model_fields, "another"])

    @given(st.dictionaries(names, ANY_VALUE | st.just(ABSENT), max_size=3) | ANY_VALUE)
    def same(change: object) -> None:
        document = change
        if isinstance(change, dict):
            document = {name: value for name, value in (fitting | change).items() if value is not ABSENT}
        assert outcome(shape.read, document) == outcome(model.model_validate, document)

    same()


# --- the parts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    count: int = 3


def test_a_field_with_a_default_may_be_missing_and_one_without_may_not() -> None:
    shape = Shape(Part, {"name": STRING, "count": integer(1)})
    assert shape.read({"name": "a"}) == Part(name="a", count=3)
    with pytest.raises(ValidationError, match="missing"):
        shape.read({"count": 1})


def test_what_was_read_cannot_be_changed() -> None:
    part = Shape(Part, {"name": STRING, "count": integer(1)}).read({"name": "a"})
    with pytest.raises(FrozenInstanceError):
        part.name = "b"  # type: ignore[misc]  # what is tried


@pytest.mark.parametrize(
    ("members", "odd"),
    [
        ({"name": STRING}, "count"),
        ({"name": STRING, "count": STRING, "color": STRING}, "color"),
        ({"name": STRING, "color": STRING}, "color, count"),
    ],
)
def test_a_shape_that_does_not_fit_its_dataclass_cannot_be_made(members: dict[str, Any], odd: str) -> None:
    with pytest.raises(TypeError, match=rf"^Part: {odd}$"):
        Shape(Part, members)


def test_an_open_shape_leaves_alone_what_it_does_not_know_and_a_closed_one_refuses_it() -> None:
    members = {"name": STRING, "count": integer(1)}
    assert Shape(Part, members).read({"name": "a", "color": "red"}) == Part(name="a")
    with pytest.raises(ValidationError, match="color"):
        Shape(Part, members, closed=True).read({"name": "a", "color": "red"})


@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    value: Any = None


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        (ANYTHING, [1, {"a": None}], [1, {"a": None}]),
        (STRING, "", ""),
        (BOOLEAN, False, False),
        (BOOLEAN, 1, True),
        (integer(2, 4), 2, 2),
        (integer(2, 4), 4, 4),
        (optional(integer(2, 4)), None, None),
        (matching(re.compile(r"\Aab+\Z")), "abb", "abb"),
        (after(len, integer(2)), "abc", 3),
        (inside("a", inside("b", STRING)), {"a": {"b": "c", "d": 1}, "e": 2}, "c"),
    ],
)
def test_what_fits_is_read(schema: Any, value: object, read: object) -> None:
    assert Shape(One, {"value": schema}).read({"value": value}) == One(value=read)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (STRING, 1),
        (STRING, None),
        (STRING, b"text"),
        (BOOLEAN, 2),
        (integer(2, 4), 1),
        (integer(2, 4), 5),
        (integer(2, 4), "3"),
        (integer(0, 4), True),
        (integer(0), MAX_ID + 1),
        (integer(2, 4), None),
        (integer(2, 4), Decimal(3)),
        (matching(re.compile(r"\Aab+\Z")), "abb\n"),
        (matching(re.compile(r"\Aab+\Z")), "xabb"),
        (after(len, integer(2)), "a"),
        (inside("a", STRING), {"b": "c"}),
        (inside("a", STRING), "c"),
        (inside("a", STRING), None),
    ],
)
def test_what_does_not_fit_is_refused_in_its_place(schema: Any, value: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        Shape(One, {"value": schema}).read({"value": value})
    assert {item["loc"][0] for item in refusal.value.errors()} == {"value"}


def test_the_validator_is_the_one_that_the_installed_pydantic_brings() -> None:
    assert pydantic.ValidationError is ValidationError
