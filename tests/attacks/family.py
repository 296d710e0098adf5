"""An attack family: a genuine request, and changed versions of it that must be refused."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox import development, events
from sandbox.gateway import signatures

type Event = dict[str, Any]

OTHER_ORDER_ID: Final = "order_00000000000002"
"""The client's second order, used by the genuine requests sent with the attacks."""
STRANGERS_ORDER_ID: Final = "order_00000000000003"
"""The order of another client."""
PAID_ORDER_ID: Final = "order_00000000000004"
PAID_PAYMENT_ID: Final = "pay_00000000000006"
"""The client's third order, which is paid, and its payment."""
MADE_KEY: Final = "a-refund-that-was-made"
"""The Idempotency-Key of the refund of 1.00 that was made of it."""
OTHER_PAYMENT_ID: Final = "pay_DESlfW9H8K9uqN"
KEY_SECRET: Final = development.RAZORPAY_KEY_SECRET
WEBHOOK_SECRET: Final = development.RAZORPAY_WEBHOOK_SECRET


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Attacks of one kind on one endpoint.

    Attributes:
        name: the prefix of the cases' names.
        attacks: the requests by what is wrong with each.
        statuses: the responses that they may get.
        genuine: the request that they are variants of; it is accepted, and on a new service it has an effect.
        control: the same request (if it writes, about another order), sent with every attack and accepted each time.
        reaches_table: whether only the stored record shows that it is an attack; otherwise it may cause no outside
        call.
        settings: the settings by which tokens are checked.
    """

    name: str
    attacks: Mapping[str, Event]
    statuses: frozenset[int]
    genuine: Event
    control: Event
    reaches_table: bool = False
    settings: Mapping[str, str] = field(default_factory=lambda: {"JWT_SECRET": development.JWT_SECRET})


def with_headers(event: Event, **headers: object) -> Event:
    """The request with these headers replaced; `_` stands for `-`, and None removes one."""
    names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    kept = {name: value for name, value in event["headers"].items() if name.lower() not in names}
    return {**event, "headers": {**kept, **{name: value for name, value in names.items() if value is not None}}}


def with_body(event: Event, body: bytes | str) -> Event:
    """The request with another body; bytes are sent as API Gateway passes binary bodies."""
    if isinstance(body, bytes):
        return {**event, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return {**event, "body": body, "isBase64Encoded": False}


def with_json(event: Event, document: object) -> Event:
    return with_body(event, json.dumps(document))


def checkout(order_id: str, payment_id: str, signature: str | None = None) -> dict[str, Any]:
    """What Checkout returns, with the genuine signature unless another is given."""
    genuine = signatures.of_checkout(KEY_SECRET, order_id, payment_id)
    return {
        "razorpay_order_id": order_id,
        "razorpay_payment_id": payment_id,
        "razorpay_signature": genuine if signature is None else signature,
    }


def about_the_other_order(body: bytes) -> bytes:
    """A webhook's body about the client's second order."""
    return body.replace(events.ORDER_ID.encode(), OTHER_ORDER_ID.encode()).replace(
        events.PAYMENT_ID.encode(), OTHER_PAYMENT_ID.encode()
    )


def unlike(character: str, bit: int) -> str:
    """The character with one bit flipped, limited to what a URL or header may contain."""
    return chr(ord(character) ^ (1 << bit))
