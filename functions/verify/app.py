"""POST /api/payments/verify/, GET /api/payments/ and GET /api/payments/{order_id}/: fast feedback for the frontend.

A valid signature makes the payment `paid` but not confirmed: the webhook has the last word. An invalid signature
changes nothing, because anyone can send one. Another user's order is indistinguishable from one that does not exist.
"""

from typing import TYPE_CHECKING, Any

from payments.adapters.http import Request, Response
from payments.adapters.log import RequestLog
from payments.core.errors import InvalidSignature, OrderNotFound
from payments.core.lookup import PAGE_SIZE, OfApplication, OfCaller, cursor_after, listed, read_query, split
from payments.core.model import ORDER_ID, Record, Signed
from payments.core.outbox import record_facts
from payments.core.position import Position, amount_disputed, amount_refunded
from payments.core.verification import require_paid
from payments.core.wire import VerifyBody
from payments.wiring import aws
from payments.wiring.boundary import lambda_boundary
from payments.wiring.verify import Dependencies, dependencies, prime

if TYPE_CHECKING:
    from payments.core.answers import PaymentAnswer, VerifiedAnswer

_MAX_BODY_BYTES = 8 * 1024


def verify(request: Request, log: RequestLog) -> Response:
    """Record that the customer came back from a successful checkout. Idempotent: every call gets the same response."""
    raw = request.read_body(_MAX_BODY_BYTES)
    service = dependencies(log)
    user_id = service.callers.user_id(request.header("authorization"))
    log.note(user_id=user_id)
    request.require_json()
    body = VerifyBody.read(raw)
    log.note(order_id=body.razorpay_order_id, razorpay_payment_id=body.razorpay_payment_id)

    def admit(record: Record) -> None:
        if record.order is None or record.order.client_id != user_id:
            raise OrderNotFound("another user's")
        if not service.is_signed(
            order_id=record.order_id, payment_id=body.razorpay_payment_id, signature=body.razorpay_signature
        ):
            log.count("SignatureFailures")
            raise InvalidSignature("checkout")

    now = aws.now()
    signed = Signed(payment=body.razorpay_payment_id, at=now)
    record = record_facts(service.table, body.razorpay_order_id, [signed], now, admit=admit).record
    log.note(status=record.status.value, version=record.version)
    require_paid(record, body.razorpay_payment_id)
    verified: VerifiedAnswer = {
        "status": "success",
        "message": "Payment verified",
        "payment_id": record.agreed().payment_id,
    }
    return Response(200, verified)


def show(request: Request, log: RequestLog) -> Response:
    """Return the payment's public fields to its client or its freelancer."""
    service = dependencies(log)
    user_id = service.callers.user_id(request.header("authorization"))
    log.note(user_id=user_id)
    order_id = request.path_parameters.get("order_id", "")
    if not ORDER_ID.match(order_id):
        raise OrderNotFound("not an order id")
    log.note(order_id=order_id)
    record = service.table.read(order_id)
    if record is None or record.order is None:
        raise OrderNotFound("no record")
    order = record.order
    if user_id not in {order.client_id, order.freelancer_id}:
        raise OrderNotFound("another user's")
    return Response(200, _public(record))


def _public(record: Record) -> dict[str, Any]:
    """Return what a party to the payment may see of it."""
    order, position = record.agreed(), Position.of(record)
    payment: PaymentAnswer = {
        "payment_id": order.payment_id,
        "order_id": record.order_id,
        "amount": order.amount_minor,
        "currency": order.currency,
        "status": record.status,
        "confirmed": record.confirmed,
        "amount_refunded": amount_refunded(record),
        "amount_disputed": amount_disputed(record),
        "under_review": position.under_review,
        "razorpay_payment_id": position.shown_payment(),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
    return {**order.purchase_fields(), **payment}


def find(request: Request, log: RequestLog) -> Response:
    """Return a page of the caller's own payments, or the orders of one of their applications."""
    service = dependencies(log)
    user_id = service.callers.user_id(request.header("authorization"))
    log.note(user_id=user_id)
    match read_query(request.query, user_id):
        case OfApplication(application_id):
            return _application(service, user_id, application_id)
        case OfCaller() as asked:
            return _page(service, user_id, asked, log)


def _application(service: Dependencies, user_id: int, application_id: int) -> Response:
    # The key includes the client: another client's application is not found, and neither is it by its freelancer.
    application = service.table.application(user_id, application_id)
    if application is None:
        raise OrderNotFound("no application of the caller's")
    current, earlier = split(application, service.table.read_many(application.orders))
    return Response(
        200,
        {"current": None if current is None else _public(current), "earlier": [_public(record) for record in earlier]},
    )


def _page(service: Dependencies, user_id: int, asked: OfCaller, log: RequestLog) -> Response:
    places, more = service.table.payments_of(asked.role, user_id, asked.after, PAGE_SIZE)
    # A record that cannot be read fails by itself, in the read by its order id, and does not hide the others.
    records = service.table.read_many((place.order_id for place in places), only_readable=True)
    found = listed(places, records, asked.role, user_id)
    if len(found) < len(places):
        log.alert("listed payments cannot be read", failed=len(places) - len(found))
    page: dict[str, Any] = {
        "payments": [_public(record) for record in found],
        "next_cursor": cursor_after(places[-1], asked.role, user_id) if more else None,
    }
    return Response(200, page)


prime()
lambda_handler = lambda_boundary(
    "verify",
    {
        ("POST", "/api/payments/verify"): verify,
        ("GET", "/api/payments"): find,
        ("GET", "/api/payments/{order_id}"): show,
    },
)
