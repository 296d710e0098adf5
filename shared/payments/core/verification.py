"""Decide verify's response, once a checkout signature is recorded."""

from payments.core.errors import PaymentFailed, PaymentRefunded, PaymentReturned, PaymentUnderReview
from payments.core.model import Record, Status
from payments.core.position import Position


def require_paid(record: Record, payment: str) -> None:
    """Raise an error unless the record is `paid`, no matter by which of its payments.

    Args:
        record: with the signature recorded.
        payment: the Razorpay payment id that was signed.

    Raises:
        PaymentRefunded: it was refunded in full.
        PaymentReturned: Razorpay returned the payment uncaptured.
        PaymentFailed: the payment is dead or was released.
        PaymentUnderReview: the payment is not as agreed, its order was superseded or had expired, or a dispute about it
            was lost.
    """
    if record.status is Status.PAID:
        return
    position = Position.of(record)
    if record.status is Status.REFUNDED and not position.losses():
        raise PaymentRefunded("refunded in full")
    if not position.under_review:
        if not record.attempts[payment].captured and position.returned(payment):
            raise PaymentReturned("given back uncaptured")
        if position.dead(payment) or record.attempts[payment].released:
            raise PaymentFailed("listed as failed after it was signed")
        if record.attempts[payment].captured:
            # The amount was not as agreed and was refunded in full.
            raise PaymentRefunded("refunded in full")
    raise PaymentUnderReview("the money is not as agreed", record.order_id)
