"""Request bodies: strict JSON in, validated values out. Response bodies are in `answers`.

JSON that two parsers could read differently is rejected. `make contracts` generates the schemas in docs/openapi.yaml
from these models.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NoReturn, Self

from pydantic import ConfigDict, Field, ValidationError

from payments.core.errors import FieldError, InvalidRequest, MalformedRequest, kind_of
from payments.core.model import (
    MAX_ID,
    ORDER_ID_PATTERN,
    PAYMENT_ID_PATTERN,
    TICKET_PATTERN,
    Model,
    Order,
    OrderId,
    PaymentId,
    Purchase,
    RefundReason,
)
from payments.core.money import EXPONENT_BY_CURRENCY, MAX_MAJOR, parse_major, to_minor_units

MAX_DEPTH = 64
# Signed with the longest allowed RSA key, a quote has about 2,000 characters.
MAX_QUOTE_CHARS = 4096
# An unsigned token has an empty third part.
QUOTE_PATTERN = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"
# Every meaningful number is an amount or at most 2^53-1. Python's own limit of 4,300 digits protects the interpreter;
# this one keeps nonsense out of messages and logs.
_MAX_NUMBER_CHARS = 64

# Possessive, and accepts an unterminated string: backtracking over escaped quotes takes quadratic time, half a minute
# for a body of 64 KiB.
_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def read_json(body: bytes, *, unique_keys: bool = True) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a JSON text. Numbers with a point become Decimal, never float.

    Args:
        body: UTF-8.
        unique_keys: reject duplicate keys. Only a body whose sender is authenticated may have them.

    Raises:
        MalformedRequest: it is not plain JSON: it has NaN or Infinity, more than 64 levels, lone surrogates or numbers
            that are too long, for example.
    """
    try:
        text = body.decode("utf-8")
        _check_depth(text)
        value = (_UNIQUE_KEYS if unique_keys else _ANY_KEYS).decode(text)
        # UTF-8 has no lone surrogates, so only an escape sequence can produce one.
        if "\\u" in text:
            _check_surrogates(value)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest("The body is not well-formed JSON.") from error
    return value


def _check_depth(text: str) -> None:
    # Nearly every text has too few brackets to be nested too deeply, wherever they are.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError("nested too deeply")
        elif mark in "]}":
            depth -= 1


def _number[N](kind: type[N]) -> Any:  # noqa: ANN401 - json's hook type
    def parse(digits: str) -> N:
        if len(digits) > _MAX_NUMBER_CHARS:
            raise ValueError("a number of too many digits")
        try:
            return kind(digits)  # type: ignore[call-arg]  # int and Decimal both take a string
        except InvalidOperation as error:  # an exponent out of Decimal's range; an ArithmeticError, not a ValueError
            raise ValueError("a number beyond all bounds") from error

    return parse


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _decoder(pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_float=_number(Decimal),
        parse_int=_number(int),
        parse_constant=_refuse_constant,
        object_pairs_hook=pairs,
    )


_UNIQUE_KEYS = _decoder(_unique)
_ANY_KEYS = _decoder(None)


def _check_surrogates(value: object) -> None:
    """Refuse a lone surrogate, which cannot be encoded: storing or logging it would fail later."""
    todo = [value]
    while todo:
        match todo.pop():
            case str() as text:
                text.encode("utf-8")
            case dict() as members:
                todo += members.keys()
                todo += members.values()
            case list() as items:
                todo += items


class Body(Model):
    """A request body with strict types."""

    model_config = ConfigDict(strict=True)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse and validate a request body.

        Raises:
            MalformedRequest: it is not JSON.
            InvalidRequest: it violates the contract; every wrong field is named.
        """
        value = read_json(body)
        if not isinstance(value, dict):
            raise MalformedRequest("The body must be a JSON object.")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise InvalidRequest([_field_error(item) for item in error.errors(include_url=False)]) from None


class CreateOrderBody(Body, Purchase):
    """`POST /api/payments/create-order/`. The ids are the platform's own; `amount` is in major units (rupees)."""

    model_config = ConfigDict(extra="forbid")

    amount: Any
    currency: str = "INR"
    # Empty if the request has none: one that is sent is never empty.
    quote: Annotated[str, Field(pattern=QUOTE_PATTERN, max_length=MAX_QUOTE_CHARS, repr=False)] = ""
    """The platform's signed price for this order, a JWT."""

    def to_offer(self, currencies: frozenset[str], max_amount: Decimal | None = None) -> Order:
        """Return what the client agrees to, with the amount in integer minor units and no payment id yet.

        Args:
            currencies: the allowed ones.
            max_amount: the largest amount of an order, in major units; None for no limit of ours.

        Raises:
            InvalidRequest: the currency is not allowed, the amount is not valid in it, or the client is the
                freelancer; every wrong field is named.
        """
        wrong = []
        # Checked for new orders only: orders from before this rule are read, paid and rebuilt like any other.
        if self.freelancer_id == self.client_id:
            wrong.append(FieldError("freelancer_id", "must not equal client_id: nobody can pay themselves"))
        amount_minor = 0
        if self.currency not in currencies or self.currency not in EXPONENT_BY_CURRENCY:
            wrong.append(FieldError("currency", f"must be one of {', '.join(sorted(currencies))}"))
        else:
            most = MAX_MAJOR if max_amount is None else min(max_amount, MAX_MAJOR)
            try:
                amount_minor = to_minor_units(self.amount, self.currency, most=most)
            except ValueError as error:
                wrong.append(FieldError("amount", str(error)))
        if wrong:
            raise InvalidRequest(wrong)
        return Order(
            **self.purchase_fields(),
            payment_id=0,
            amount_minor=amount_minor,
            currency=self.currency,
            receipt="",
        )


class VerifyBody(Body):
    """`POST /api/payments/verify/`: the three fields that Checkout passes to the browser.

    Other fields are ignored: Razorpay may extend Checkout's object (mobile SDKs add a logo, a status code and more).
    """

    razorpay_order_id: OrderId
    razorpay_payment_id: PaymentId
    razorpay_signature: str
    """Any string is accepted: a malformed signature has the same outcome as a wrong one."""


class RefundBody(Body):
    """`POST /api/payments/{order_id}/refunds/`. `amount` is in major units (rupees); without it, what remains."""

    model_config = ConfigDict(extra="forbid")

    amount: Any = None
    razorpay_payment_id: PaymentId | None = None
    reason: RefundReason | None = None
    ticket: Annotated[str | None, Field(pattern=TICKET_PATTERN)] = None
    """The id of a ticket that explains it. The record keeps it, with who signed the request."""

    def major_amount(self) -> Decimal | None:
        """Return the amount in major units, or None if the body has none.

        Raises:
            InvalidRequest: it is not an amount. Null is none: a caller that lost the amount must not refund everything.
        """
        if "amount" not in self.model_fields_set:
            return None
        try:
            return parse_major(self.amount)
        except ValueError as error:
            raise InvalidRequest([FieldError("amount", str(error))]) from None


_IDEMPOTENCY_KEY = re.compile(r"\A[A-Za-z0-9_-]{10,64}\Z")
IDEMPOTENCY_KEY_PATTERN = "^[A-Za-z0-9_-]{10,64}$"


def read_idempotency_key(header: str | None) -> str:
    """Return the value of the `Idempotency-Key` header.

    Raises:
        InvalidRequest: it is missing, occurs twice or has another form.
    """
    if header is None:
        raise InvalidRequest([FieldError("Idempotency-Key", "is a required header, once")])
    if not _IDEMPOTENCY_KEY.match(header):
        raise InvalidRequest(
            [FieldError("Idempotency-Key", "must be 10 to 64 letters, digits, hyphens or underscores")]
        )
    return header


# Our own messages: a library's change with its version, and some of them quote the input.
_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "int_type": "must be an integer, not {kind}",
    "greater_than_equal": f"must be an integer from 1 to {MAX_ID}",
    "less_than_equal": f"must be an integer from 1 to {MAX_ID}",
    "string_type": "must be a string, not {kind}",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be one of {expected}",
}
# The message for a string that does not match a pattern.
_FORMS: Mapping[str, str] = {
    ORDER_ID_PATTERN: "must be a Razorpay order id: order_ and 14 letters or digits",
    PAYMENT_ID_PATTERN: "must be a Razorpay payment id: pay_ and 14 letters or digits",
    QUOTE_PATTERN: "must be a signed JWT: three parts in base64url, separated by dots",
}
_PLAIN_NAME = re.compile(r"\A[A-Za-z0-9_.-]{1,64}\Z")


def _field_error(item: Mapping[str, Any]) -> FieldError:
    name = ".".join(str(part) for part in item["loc"])
    message = _MESSAGES.get(item["type"]) or _FORMS.get(item.get("ctx", {}).get("pattern", "")) or "is not valid"
    # The caller may have chosen the field's name: show it only if it cannot contain anything else.
    return FieldError(
        name if _PLAIN_NAME.match(name) else "(unprintable)",
        message.format_map({"kind": kind_of(item["input"]), **item.get("ctx", {})}),
        ours=item["type"] != "extra_forbidden",
    )
