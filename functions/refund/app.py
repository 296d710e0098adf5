"""POST /api/payments/{order_id}/refunds/ and …/refunds/by-token/: give money back, each requested refund once.

The first route is for services and operators: API Gateway checks their AWS signature, and IAM decides who may call it.
The second is closed (403) unless the setting `RefundScope` names a scope, and then takes tokens that have it. A client
of the marketplace has neither. Both need an `Idempotency-Key`: a request that is repeated returns the same refund.

201 is a new refund, 200 one that a request before this one made. 202 means that Razorpay has not said whether the
refund exists: repeat the request later; reconcile settles it in any case. 4xx means that nothing was refunded, 502 that
someone must check our account with the gateway, and 503 that the same request may be repeated.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from payments.adapters.http import Request, Response
from payments.adapters.log import RequestLog
from payments.core.errors import MayNotRefund, OrderNotFound
from payments.core.model import ORDER_ID, Mandate, RefundState
from payments.core.operators import role_and_session
from payments.core.refunding import RefundRequest, shown
from payments.core.wire import RefundBody, read_idempotency_key
from payments.wiring import aws
from payments.wiring.boundary import lambda_boundary
from payments.wiring.refund import Dependencies, dependencies, prime

if TYPE_CHECKING:
    from payments.core.answers import RefundAnswer

_MAX_BODY_BYTES = 8 * 1024
_STATUS: Final[Mapping[RefundState, Literal["pending", "processed", "failed"]]] = {
    RefundState.CREATED: "pending",
    RefundState.PROCESSED: "processed",
    RefundState.FAILED: "failed",
}


def by_signature(request: Request, log: RequestLog) -> Response:
    """Make a refund for a caller whose AWS signature API Gateway has checked."""
    if not request.is_signed:
        # Without its authorizer this route would let everybody refund. It must not depend on one line of the template.
        raise MayNotRefund("no AWS signature")
    return _refund(request, log, dependencies(log))


def by_token(request: Request, log: RequestLog) -> Response:
    """Make a refund for a caller whose token has the scope for it."""
    service = dependencies(log)
    if service.scope is None or service.callers is None:
        raise MayNotRefund("the route is closed: REFUND_SCOPE is not set")
    log.note(user_id=service.callers.user_with_scope(request.header("authorization"), service.scope))
    return _refund(request, log, service)


def _refund(request: Request, log: RequestLog, service: Dependencies) -> Response:
    request.require_json()
    order_id = request.path_parameters.get("order_id", "")
    key = read_idempotency_key(request.header("idempotency-key"))
    body = RefundBody.read(request.read_body(_MAX_BODY_BYTES))
    amount = body.major_amount()
    if not ORDER_ID.match(order_id):
        raise OrderNotFound("not an order id")
    wanted = RefundRequest.of(
        order_id, key, amount=amount, payment=body.razorpay_payment_id, reason=body.reason, by=_mandate(request, body)
    )
    log.note(order_id=order_id, refund_intent=wanted.intent_id)
    with service.in_time():
        paid_back = service.refunder.pay_back(order_id, wanted, aws.now())
    refund = shown(paid_back.record, wanted.intent_id)
    log.note(
        razorpay_payment_id=refund.payment_id,
        refund_id=paid_back.refund_id,
        status=paid_back.record.status.value,
        version=paid_back.record.version,
    )
    answer: RefundAnswer = {
        "refund_id": paid_back.refund_id,
        "order_id": order_id,
        "razorpay_payment_id": refund.payment_id,
        "amount": refund.amount_minor,
        "currency": refund.currency,
        "status": _STATUS[refund.state],
    }
    if paid_back.refund_id is None:
        return Response(202, answer)
    return Response(201 if paid_back.is_new else 200, answer)


def _mandate(request: Request, body: RefundBody) -> Mandate | None:
    """Return who requests the refund and why; None without an AWS signature, which API Gateway has checked."""
    who = None if request.signed_by is None else role_and_session(request.signed_by)
    return None if who is None else Mandate(role=who[0], session=who[1], cause=body.reason, ticket=body.ticket)


prime()
lambda_handler = lambda_boundary(
    "refund",
    {
        ("POST", "/api/payments/{order_id}/refunds"): by_signature,
        ("POST", "/api/payments/{order_id}/refunds/by-token"): by_token,
    },
)
