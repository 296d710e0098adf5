"""Every refusal of the API, in Razorpay's wording where it is documented.

`Refusal` is the only exception; the functions below name the reasons. Each has the HTTP status shown on its API page.
Wordings known only from public issues, not from the docs, are marked.
"""

import dataclasses
from http import HTTPStatus
from typing import Any, Final

BAD_REQUEST: Final = "BAD_REQUEST_ERROR"


@dataclasses.dataclass(eq=False)
class Refusal(Exception):
    """An error answer: `{"error": {code, description, source, step, reason, metadata[, field]}}` (errors.md)."""

    description: str
    status: int = HTTPStatus.BAD_REQUEST
    code: str = BAD_REQUEST
    source: str | None = "business"
    step: str | None = "payment_initiation"
    reason: str | None = "input_validation_failed"
    field: str | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON, keys in the documented order; `field` only where one applies."""
        error: dict[str, Any] = {
            "code": self.code,
            "description": self.description,
            "source": self.source,
            "step": self.step,
            "reason": self.reason,
            "metadata": self.metadata,
        }
        if self.field is not None:
            error["field"] = self.field
        return {"error": error}


def _unclassified(description: str, status: int = HTTPStatus.BAD_REQUEST) -> Refusal:
    """Refusals before any business rule have "NA" for source, step and reason (orders/fetch-all.md)."""
    return Refusal(description, status=status, source="NA", step="NA", reason="NA")


def authentication_failed(status: int) -> Refusal:
    """No usable Authorization header (api/orders/create.md).

    Args:
        status: 400 as on the API pages, or 401 as in api/understand.md; the same for the next two.
    """
    return _unclassified("Authentication failed", status)


def invalid_key(status: int) -> Refusal:
    """An unknown key id (api/orders/fetch-all.md)."""
    return _unclassified("The api key provided is invalid", status)


def invalid_secret(status: int) -> Refusal:
    """A known key id with a wrong secret (api/partners/errors.md)."""
    return _unclassified("The api secret provided is invalid", status)


def not_checkouts_own() -> Refusal:
    """A call of Checkout's own endpoints from outside its frame; the stand-in's wording."""
    return _unclassified("Only Checkout's own page may call this.", HTTPStatus.FORBIDDEN)


def unknown_url() -> Refusal:
    """No such route, or the wrong method for it: 400, not 404 or 405 (api/refunds/create-normal.md)."""
    return _unclassified("The requested URL was not found on the server.")


def unreadable_body() -> Refusal:
    """A body that is not a JSON object; the docs give no wording."""
    return _unclassified("The request body could not be parsed")


def malformed_id(candidate: str) -> Refusal:
    """Text that cannot be an id."""
    return Refusal(f"{candidate} is not a valid id")


def too_many_requests(status: int) -> Refusal:
    """Throttled for longer than a burst: no Retry-After, and no distinct `code` (observed by one developer).

    Args:
        status: 429 as observed; with 400 only the text distinguishes it from a bad request.
    """
    return Refusal("Request failed. Please try after sometime.", status)


def server_error(status: int) -> Refusal:
    """The gateway, or something in front of it, has failed (errors.md)."""
    return Refusal(
        "The server encountered an error. The incident has been reported to admins.",
        status=status,
        code="SERVER_ERROR",
        source="NA",
        step="NA",
        reason="NA",
    )


def unknown_id() -> Refusal:
    """A well-formed id that does not exist: 400, not 404."""
    return Refusal("The id provided does not exist")


def too_old() -> Refusal:
    """An order older than 180 days (wording of the current page of api/orders/fetch-with-id for India)."""
    return Refusal("Order older than 180 days, please use reports.")


def unexpected_fields(names: list[str]) -> Refusal:
    """Fields that the endpoint does not know."""
    return Refusal(f"{', '.join(names)} is/are not required and should not be sent")


def missing(name: str) -> Refusal:
    """A required field is missing."""
    return Refusal(f"The {name} field is required.", field=name)


def invalid(name: str, description: str) -> Refusal:
    """A field has an invalid value."""
    return Refusal(description, field=name)


def reused_receipt() -> Refusal:
    """Used only if the account refuses duplicate receipts; the docs contradict themselves on whether one does.

    The wording, source, step and reason are those of the docs' "Test S2S" error index, which names no field.
    """
    return Refusal("Order receipt should be unique.")


def amount_above_maximum() -> Refusal:
    """More than the account accepts at once (api/payments/recurring-payments/cards/create-subsequent-payments.md)."""
    return Refusal("Amount exceeds maximum amount allowed", field="amount")


def order_already_paid(order_id: str, payment_id: str | None = None) -> Refusal:
    """Another payment or capture on a paid order (api/payments/capture.md, reason from the error list)."""
    metadata = {"order_id": order_id} if payment_id is None else {"order_id": order_id, "payment_id": payment_id}
    return Refusal(
        "Your payment has been declined as the order is already paid. Please initiate the payment with a new order.",
        reason="order_already_paid",
        metadata=metadata,
    )


def payment_under_way(order_id: str) -> Refusal:
    """An authorized payment holds the order (payments/orders.md states the rule and gives no wording)."""
    return Refusal(
        "Another payment of this order is already authorized.",
        reason="duplicate_request",
        metadata={"order_id": order_id},
    )


def capture_differs() -> Refusal:
    """The amount of a capture must be the authorized one."""
    return Refusal("Capture amount must be equal to the amount authorized.", field="amount")


def capture_currency_differs() -> Refusal:
    """The currency of a capture must be the payment's; the docs give the rule without a wording."""
    return Refusal("The currency must be equal to the currency authorized.", field="currency")


def not_authorized() -> Refusal:
    """A capture of a failed or refunded payment (wording from public issues)."""
    return Refusal("Only payments which have been authorized and not yet captured can be captured")


def not_captured() -> Refusal:
    """A refund of money that was never captured (wording from public issues)."""
    return Refusal("The payment status should be captured for action to be taken")


def fully_refunded() -> Refusal:
    """Nothing of the payment is left to refund."""
    return Refusal("The payment has been fully refunded already")


def insufficient_balance() -> Refusal:
    """The account cannot pay the refund now; worded like a mistake of the caller (razorpay-node#454, #438)."""
    return _unclassified("invalid request sent")


def refund_above_capture() -> Refusal:
    """More than was captured."""
    return Refusal("The refund amount provided is greater than amount captured", field="amount")


def refund_above_rest() -> Refusal:
    """More than earlier refunds have left (wording from public issues)."""
    return Refusal("The total refund amount is greater than the refund payment amount", field="amount")


def short_idempotency_key() -> Refusal:
    """Fewer than ten characters (api/refunds/normal-refunds-idempotent.md)."""
    return Refusal("The idempotency key must be at least 10 characters long.")


def malformed_idempotency_key() -> Refusal:
    """Characters outside `[A-Za-z0-9_-]`."""
    return Refusal("The idempotency key must only contain alphanumeric characters, underscores, and hyphens")


def refund_in_progress() -> Refusal:
    """The same key while the first request has no answer yet: 409 (api/refunds/normal-refunds-idempotent.md)."""
    return _unclassified("Another request with the same idempotency key is still in progress.", HTTPStatus.CONFLICT)


def too_old_to_refund() -> Refusal:
    """Most banks take no refund after six months (payments/refunds/errors.md, whose sample has null for the rest)."""
    return Refusal(
        "Refund is not supported by the bank because the payment is more than 6 months old",
        source=None,
        step=None,
        reason=None,
    )


def idempotency_key_reused() -> Refusal:
    """The same key with a different body: 409."""
    return _unclassified(
        "Different request with the same idempotency key has already been processed.", HTTPStatus.CONFLICT
    )
