"""POST /api/payments/webhook/: what Razorpay reports is final. Our response tells Razorpay what to do next.

2xx: never send this event again. Anything else: retry for 24 hours, after which Razorpay disables the webhook. So a
forged message is refused (Razorpay never sees that response). A genuine one that we can never use is acknowledged and
counted. Only a failure that a later delivery can cure gets a 5xx, and only while that leaves time to spare.
"""

import re
from typing import TYPE_CHECKING

from payments.adapters.http import Request, Response
from payments.adapters.log import RequestLog
from payments.core.errors import InvalidSignature, MalformedRequest, RequestTooLarge
from payments.core.outbox import record_and_publish
from payments.core.webhooks import UnusableEvent, read_delivery
from payments.wiring import aws
from payments.wiring.boundary import GivenUp, lambda_boundary
from payments.wiring.webhook import dependencies, prime

if TYPE_CHECKING:
    from payments.core.answers import ReceivedAnswer

# API Gateway's own limit ("Payload size"). Notes in any script, and line items, make genuine bodies large.
_MAX_BODY_BYTES = 10 * 1024 * 1024
# Razorpay gives up after 24 hours and then disables the webhook, and every later event with it. Half of that leaves a
# person time to act on the alarm before later events are at stake.
_RETRY_FOR_S = 12 * 60 * 60
_EVENT_ID = re.compile(r"\A[A-Za-z0-9]{14}\Z")


def receive(request: Request, log: RequestLog) -> Response:
    """Record what the webhook says and publish what is pending. Acknowledge only after both succeeded."""
    try:
        body = request.read_body(_MAX_BODY_BYTES)
    except (MalformedRequest, RequestTooLarge) as error:
        # Cannot be signed: Razorpay's own deliveries come through API Gateway, which has the same limit.
        raise InvalidSignature("no body that could be signed") from error
    service = dependencies(log)
    if not service.is_signed(body, request.header("x-razorpay-signature")):
        log.count("SignatureFailures")
        raise InvalidSignature("webhook")
    # Not covered by the signature, so log it and use it for nothing else.
    log.note(event_id=_printable(request.header("x-razorpay-event-id")))

    received: ReceivedAnswer = {"status": "ok"}
    acknowledged = Response(200, received)
    try:
        delivery = read_delivery(body)
    except UnusableEvent as unusable:
        log.note(why=unusable.why, **unusable.ids)
        log.count("UnusableEvents")
        log.alert("a signed event that cannot be used was acknowledged: a person must check this")
        return acknowledged
    log.note(event=delivery.event, order_id=delivery.order_id, created_at=delivery.created_at)
    if delivery.order_id is None or not delivery.facts:
        log.count("IgnoredEvents", dimensions={"event": delivery.event})
        return acknowledged

    now = aws.now()
    try:
        decision, published = record_and_publish(
            service.table, service.bus, delivery.order_id, delivery.facts, now, policy=service.policy, keep_unknown=True
        )
    except Exception as failure:
        if delivery.created_at is not None and now - delivery.created_at >= _RETRY_FOR_S:
            raise GivenUp(acknowledged) from failure
        raise
    log.note(status=decision.record.status.value, version=decision.record.version)
    if decision.dropped_attempts:
        log.count("DroppedAttempts", decision.dropped_attempts)
    log.note(published=published or None)
    return acknowledged


def _printable(header: str | None) -> str | None:
    """Return an event id in Razorpay's form (14 alphanumerics), or None: anything else is not worth logging."""
    return header if header is not None and _EVENT_ID.match(header) else None


prime()
lambda_handler = lambda_boundary("webhook", {("POST", "/api/payments/webhook"): receive})
