"""What verify answers once a checkout signature is recorded."""

from payments.core.errors import PaymentFailed, PaymentRefunded, PaymentReturned, PaymentUnderReview
from payments.core.model import Record, Status
from payments.core.position import Position, under_review


def require_paid(record: Record, payment: str) -> None:
    """Passes only a record that is `paid` now, whichever payment that rests on.

    Args:
        record: with the signature recorded.
        payment: the Razorpay payment id that was signed.

    Raises:
        PaymentRefunded: all of it was paid back.
        PaymentReturned: Razorpay gave the payment back uncaptured.
        PaymentFailed: the payment is dead.
        PaymentUnderReview: the money is not as agreed, or goes to an order that was superseded.
    """
    if record.status is Status.PAID:
        return
    if record.status is Status.REFUNDED:
        raise PaymentRefunded("refunded in full")
    position = Position.of(record)
    if not under_review(record):
        if not record.attempts[payment].captured and position.returned(payment):
            raise PaymentReturned("given back uncaptured")
        if position.dead(payment) or record.attempts[payment].released:
            raise PaymentFailed("listed as failed after it was signed")
        if record.attempts[payment].captured:
            # A sum that was not as agreed, and all of it paid back.
            raise PaymentRefunded("refunded in full")
    raise PaymentUnderReview("the money is not as agreed", record.order_id)
