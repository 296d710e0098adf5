"""POST /api/payments/create-order/: accept a proposal and return an order that the client can pay at Razorpay Checkout.

201 returns a new order. 200 returns the open one again, so double clicks and retries never create a second payable
order. 409 means there is nothing (left) to pay and names the order concerned. 502 means someone must check our
account with the gateway. 503 means the client can retry the same request.
"""

from typing import TYPE_CHECKING

from payments.adapters.http import Request, Response
from payments.adapters.log import RequestLog
from payments.core.errors import AmountRefused, ApplicationRefused, FieldError, Forbidden, InvalidRequest
from payments.core.ordering import place_order
from payments.core.wire import CreateOrderBody
from payments.wiring import aws
from payments.wiring.boundary import lambda_boundary
from payments.wiring.create_order import dependencies, prime

if TYPE_CHECKING:
    from payments.core.answers import OrderAnswer

_MAX_BODY_BYTES = 8 * 1024


def create_order(request: Request, log: RequestLog) -> Response:
    """Place the order, or return the open one."""
    raw = request.read_body(_MAX_BODY_BYTES)
    service = dependencies(log)
    user_id = service.callers.user_id(request.header("authorization"))
    log.note(user_id=user_id)
    request.require_json()
    body = CreateOrderBody.read(raw)
    offer = body.to_offer(service.currencies, service.max_amount)
    if offer.client_id != user_id:
        raise Forbidden("the client of the order is another user")
    now = aws.now()
    service.quotes.check(body.quote, offer, now)

    try:
        placed = place_order(service.ordering, offer, now)
    except ApplicationRefused as refused:
        log.note(order_id=refused.order_id)
        raise
    except AmountRefused as refused:
        # The account's own limit. Neither Razorpay's documentation nor our settings may know it yet.
        raise InvalidRequest([FieldError("amount", "is not an amount that the payment gateway accepts")]) from refused
    record, order = placed.record, placed.record.agreed()
    log.note(order_id=record.order_id, payment_id=order.payment_id, status=record.status.value)
    answer: OrderAnswer = {
        "order_id": record.order_id,
        "amount": order.amount_minor,
        "currency": order.currency,
        "status": record.status,
        "payment_id": order.payment_id,
        "key_id": placed.key_id,
    }
    return Response(201 if placed.created else 200, answer)


prime()
lambda_handler = lambda_boundary("create_order", {("POST", "/api/payments/create-order"): create_order})
