"""An event of the payment service, as this service reads it.

Only the fields named here are read: a later version of the payment service may add others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

SCHEMA: Final = 1
"""The first number of the `schema_version` that this code understands. The second may be any."""


class Unusable(Exception):
    """The message is no event that this code understands; the text says why. It ends in the dead-letter queue."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Who buys what from whom for how much. Amounts are integers in minor units (paise for INR)."""

    application_id: int
    job_id: int
    client_id: int
    freelancer_id: int
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        type: the detail type, such as `payment.paid`.
        event_id: the same for every copy of the event.
        version: of the payment, after the change that the event is about.
        status: of the payment, after that change.
        terms: what the client agreed to, in the client's words.
        dispute: Razorpay's id of the dispute, if the event is about one.
        dispute_state: what has become of it.
    """

    type: str
    event_id: str
    version: int
    order_id: str
    payment_id: int
    razorpay_payment_id: str | None
    status: str
    terms: Terms
    dispute: str | None = None
    dispute_state: str | None = None

    @classmethod
    def of(cls, envelope: Mapping[str, Any]) -> Self:
        """Read an event in EventBridge's envelope.

        Raises:
            Unusable: a field is missing, or the schema's first number is not `SCHEMA`.
        """
        try:
            detail = envelope["detail"]
            if int(detail["schema_version"].split(".")[0]) != SCHEMA:
                raise Unusable(f"schema {detail['schema_version']}: deploy a consumer that reads it, then redrive")
            payment = detail["payment"]
            dispute = detail.get("dispute") or {}
            return cls(
                type=envelope["detail-type"],
                event_id=detail["event_id"],
                version=detail["version"],
                order_id=payment["order_id"],
                payment_id=payment["payment_id"],
                razorpay_payment_id=payment["razorpay_payment_id"],
                status=payment["status"],
                terms=Terms(**{name: payment[name] for name in Terms.__slots__}),
                dispute=dispute.get("id"),
                dispute_state=dispute.get("state"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unusable(f"not an event of the payment service: {type(error).__name__} {error}") from error
