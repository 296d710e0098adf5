"""Generate `events/`: an invocation event per function and case, as API Gateway's REST proxy sends it (payload 1.0).

    python -m sandbox.events

They are for `sam local invoke -e` and are the fixtures of the handler tests. The output is deterministic: times are
fixed, tokens expire in 2100, and everything is signed with the documented secrets of `sandbox/development.py`. The
events tell one story: user 42 orders, pays 499.50 and gets it back in two refunds. verify, get and webhook need the
record that create-order creates; without it, they show what happens with an unknown order. The gateway chooses its own
order ids, so for an order that it really created, `make sam-local ORDER=order_…` writes the same story again.

`events/schedules/` has the inputs that the template's schedules pass to outbox and reconcile, and the inputs that
operators pass to reconcile by hand (docs/runbook.md).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sandbox import development
from sandbox.gateway import signatures, webhooks
from sandbox.gateway.entities import Customer, Dispute, DisputeStatus, Failure, Instrument, Order, Payment, Refund

FOLDER: Final = Path(__file__).parents[1] / "events"

CLIENT: Final = 42
FREELANCER: Final = 77
SOMEBODY_ELSE: Final = 43
ORDER_ID: Final = "order_DESlLckIVRkHWj"
UNKNOWN_ORDER_ID: Final = "order_DESxiijbl9xjDB"
PAYMENT_ID: Final = "pay_DESlfW9H8K9uqM"
FAILED_PAYMENT_ID: Final = "pay_DESp9bgForNoUd"
FIRST_REFUND_ID: Final = "rfnd_FS8TWyPrCsa0OB"
LAST_REFUND_ID: Final = "rfnd_FP8QHiV938haTz"
DISPUTE_ID: Final = "disp_EsIAlDcoUr8CaQ"
OFFER: Final[Mapping[str, Any]] = {
    "job_id": 11,
    "application_id": 12,
    "client_id": CLIENT,
    "freelancer_id": FREELANCER,
    "amount": 499.50,
}
AMOUNT_MINOR: Final = 49950
FIRST_REFUND_MINOR: Final = 10000
FORGED_WITH: Final = "not-the-webhook-secret"

CUSTOMER: Final = Customer()
"""Made-up personal data that must never reach a log, an answer, the table or the bus."""
BANK: Final = "HDFC"
VPA: Final = "gaurav.kumar@upi"
PERSONAL: Final = (CUSTOMER.email, CUSTOMER.contact, CUSTOMER.name, VPA, "0125836177", "4827433", "Café")

_ORDERED_AT: Final = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ORDERED_AT: Final = int(_ORDERED_AT.timestamp())
_FAILED_AT: Final = ORDERED_AT + 45
_PAID_AT: Final = ORDERED_AT + 67
_REFUNDED_AT: Final = ORDERED_AT + 86400
_DISPUTED_AT: Final = ORDERED_AT + 10 * 86400
_RESPOND_WITHIN_S: Final = 6 * 86400
_DISPUTE_STATUSES: Final[Mapping[str, DisputeStatus]] = {
    "created": "open",
    "under_review": "under_review",
    "action_required": "open",
    "won": "won",
    "lost": "lost",
    "closed": "closed",
}
# Until 2100, so that the committed events work for as long as anyone may try them.
_TOKEN_LIFETIME: Final = timedelta(days=365 * 74)

_CREATE_ORDER: Final = "/api/payments/create-order"
_VERIFY: Final = "/api/payments/verify"
_GET: Final = "/api/payments/{order_id}"
_LIST: Final = "/api/payments"
_WEBHOOK: Final = "/api/payments/webhook"
_REFUNDS: Final = "/api/payments/{order_id}/refunds"
CALLER_ARN: Final = "arn:aws:sts::111122223333:assumed-role/job-service/refunds"
"""A caller that may request refunds, as API Gateway names it."""


def token(user_id: int) -> str:
    """Return the access token of a user in these events."""
    return development.token(user_id, now=_ORDERED_AT, lifetime=_TOKEN_LIFETIME)


def api_event(  # noqa: PLR0913 - the parts of one HTTP request
    method: str,
    route: str,
    path: str,
    *,
    headers: Mapping[str, str],
    body: str | None = None,
    is_base64: bool = False,
    path_parameters: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the event of one request.

    Args:
        method: GET or POST.
        route: the API's resource, such as `/api/payments/{order_id}`.
        path: the path as called, with or without a trailing slash.
        headers: in their original case, which a REST API keeps.
        body: text, or base64.
        is_base64: whether the body is base64.
        path_parameters: the values of the route's placeholders.
        query: the query parameters, each given once.
    """
    sent = {
        "Accept": "*/*",
        "Host": "abcdefghij.execute-api.ap-south-1.amazonaws.com",
        "X-Amzn-Trace-Id": "Root=1-69a40608-0123456789abcdef01234567",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **headers,
    }
    agent = next((value for name, value in sent.items() if name.lower() == "user-agent"), None)
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": None if query is None else dict(query),
        "multiValueQueryStringParameters": None if query is None else {name: [value] for name, value in query.items()},
        "pathParameters": None if path_parameters is None else dict(path_parameters),
        "stageVariables": None,
        "requestContext": {
            "resourceId": "a1b2c3",
            "resourcePath": route,
            "httpMethod": method,
            "extendedRequestId": "AbCdEfGhIjKlMnO=",
            "requestTime": "01/Mar/2026:09:30:00 +0000",
            "path": f"/{development.STAGE}{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": development.STAGE,
            "domainPrefix": "abcdefghij",
            "requestTimeEpoch": ORDERED_AT * 1000,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {
                "cognitoIdentityPoolId": None,
                "accountId": None,
                "cognitoIdentityId": None,
                "caller": None,
                "sourceIp": "203.0.113.7",
                "principalOrgId": None,
                "accessKey": None,
                "cognitoAuthenticationType": None,
                "cognitoAuthenticationProvider": None,
                "userArn": None,
                "userAgent": agent,
                "user": None,
            },
            "domainName": "abcdefghij.execute-api.ap-south-1.amazonaws.com",
            "apiId": "abcdefghij",
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def from_frontend(route: str, document: Mapping[str, Any], *, user_id: int | None = CLIENT) -> dict[str, Any]:
    """Return a POST from the frontend, with the user's token unless `user_id` is None."""
    headers = {"Content-Type": "application/json", "Origin": "http://localhost:3000", "User-Agent": "Mozilla/5.0"}
    if user_id is not None:
        headers["Authorization"] = f"Bearer {token(user_id)}"
    return api_event("POST", route, f"{route}/", headers=headers, body=json.dumps(document))


def from_service(
    order_id: str, document: object, *, key: str | None, caller: str | None = CALLER_ARN, token: str | None = None
) -> dict[str, Any]:
    """Return a request for a refund.

    Args:
        order_id: the order.
        document: the body.
        key: the Idempotency-Key; None for none.
        caller: the ARN of the caller whose AWS signature API Gateway has checked; None on the route for tokens.
        token: the access token for that route.
    """
    route = _REFUNDS if caller is not None else f"{_REFUNDS}/by-token"
    headers = {"Content-Type": "application/json", "User-Agent": "job-service"}
    if key is not None:
        headers["Idempotency-Key"] = key
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    event = api_event(
        "POST",
        route,
        f"{route.replace('{order_id}', order_id)}/",
        headers=headers,
        body=json.dumps(document),
        path_parameters={"order_id": order_id},
    )
    if caller is not None:
        event["requestContext"]["identity"] |= {"userArn": caller, "accountId": "111122223333"}
    return event


def reading(order_id: str, *, user_id: int = CLIENT, slash: bool = True) -> dict[str, Any]:
    """Return a GET from the frontend. Its headers are in lower case, as in HTTP/2."""
    return api_event(
        "GET",
        _GET,
        f"/api/payments/{order_id}{'/' if slash else ''}",
        headers={"authorization": f"Bearer {token(user_id)}", "user-agent": "Mozilla/5.0"},
        path_parameters={"order_id": order_id},
    )


def listing(*, user_id: int = CLIENT, **query: str) -> dict[str, Any]:
    """Return a GET of the user's payments from the frontend, with these query parameters."""
    return api_event(
        "GET",
        _LIST,
        f"{_LIST}/",
        headers={"authorization": f"Bearer {token(user_id)}", "user-agent": "Mozilla/5.0"},
        query=query or None,
    )


def from_razorpay(
    body: bytes, *, secret: str = development.RAZORPAY_WEBHOOK_SECRET, as_base64: bool = False
) -> dict[str, Any]:
    """Return one of Razorpay's deliveries, signed over its raw bytes; a binary media type would encode it as base64."""
    signature = signatures.of_webhook(secret, body)
    return api_event(
        "POST",
        _WEBHOOK,
        f"{_WEBHOOK}/",
        headers={
            "Accept-Encoding": "gzip",
            "Content-Type": "application/json",
            "Request-Id": "Rp71ZiqdEWusLa",
            "User-Agent": "Razorpay-Webhook/v1",
            "X-Razorpay-Event-Id": "Rp71ZiqdEWusLa",
            ("x-razorpay-signature" if as_base64 else "X-Razorpay-Signature"): signature,
        },
        body=base64.b64encode(body).decode() if as_base64 else body.decode(),
        is_base64=as_base64,
    )


def checkout(order_id: str = ORDER_ID, payment_id: str = PAYMENT_ID) -> dict[str, Any]:
    """Return what Checkout passes to the browser after a successful payment."""
    return {
        "razorpay_order_id": order_id,
        "razorpay_payment_id": payment_id,
        "razorpay_signature": signatures.of_checkout(development.RAZORPAY_KEY_SECRET, order_id, payment_id),
    }


def webhook_body(event: str, *, refund: str | None = None) -> bytes:
    """Return the body of one of the story's webhooks, in the measured shape.

    Args:
        event: Razorpay's name of the event.
        refund: the refund's id, for refund events.
    """
    payment = _failed_payment() if event == "payment.failed" else _payment(event)
    returned = None
    if refund is not None:
        last = refund == LAST_REFUND_ID
        amount = AMOUNT_MINOR - FIRST_REFUND_MINOR if last else FIRST_REFUND_MINOR
        payment.amount_refunded = AMOUNT_MINOR if last else FIRST_REFUND_MINOR
        payment.status = "refunded" if last else "captured"
        notes = {"comment": "Customer Notes for Webhooks."}
        returned = Refund(refund, PAYMENT_ID, amount, "INR", notes, None, "normal", _REFUNDED_AT + 600 * last)
    order = Order(
        ORDER_ID,
        AMOUNT_MINOR,
        "INR",
        "local-1",
        {"service": "payment-service"},
        captures_automatically=True,
        created_at=ORDERED_AT,
        status="paid",
        amount_paid=AMOUNT_MINOR,
        attempts=1,
    )
    created_at = payment.created_at + 5 if returned is None else returned.created_at + 6
    return webhooks.body(event, payment, order, returned, created_at)


def dispute_body(name: str, *, at: int = 0) -> bytes:
    """Return the body of one webhook of a dispute about all of the story's payment.

    Args:
        name: the last part of the event's name, such as `lost`.
        at: seconds since the dispute was created.
    """
    dispute = Dispute(
        DISPUTE_ID,
        PAYMENT_ID,
        AMOUNT_MINOR,
        "INR",
        respond_by=_DISPUTED_AT + _RESPOND_WITHIN_S,
        created_at=_DISPUTED_AT,
        status=_DISPUTE_STATUSES[name],
        amount_deducted=AMOUNT_MINOR if name == "lost" else 0,
    )
    event = f"payment.dispute.{name}"
    return webhooks.of_dispute(event, _payment("payment.captured"), dispute, _DISPUTED_AT + at)


def unroundtrippable(body: bytes) -> bytes:
    """Return the same message with text that no JSON writer reproduces exactly: raw UTF-8 and an escaped slash."""
    return body.replace(b'"description":null', '"description":"Café \\/ na\\u00efve"'.encode(), 1)


def _payment(event: str) -> Payment:
    captured = event != "payment.authorized"
    return Payment(
        PAYMENT_ID,
        ORDER_ID,
        AMOUNT_MINOR,
        "INR",
        "captured" if captured else "authorized",
        Instrument("netbanking", bank=BANK),
        CUSTOMER,
        None,
        {},
        {"bank_transaction_id": "0125836177"},
        created_at=_PAID_AT,
        captured=captured,
        fee=1179 if captured else None,
        tax=180 if captured else None,
    )


def _failed_payment() -> Payment:
    return Payment(
        FAILED_PAYMENT_ID,
        ORDER_ID,
        AMOUNT_MINOR,
        "INR",
        "failed",
        Instrument("upi", vpa=VPA),
        CUSTOMER,
        None,
        {},
        {"rrn": "4827433"},
        created_at=_FAILED_AT,
        failure=Failure(
            "BAD_REQUEST_ERROR",
            f"Payment from {VPA} was not completed.",
            "customer",
            "payment_authentication",
            "payment_cancelled",
        ),
    )


def _ids_of(order_id: str) -> dict[str, str]:
    """Return the ids that replace the committed ones in another order's story; always the same for the same order."""
    if order_id == ORDER_ID:
        return {ORDER_ID: ORDER_ID, PAYMENT_ID: PAYMENT_ID}
    ids = {ORDER_ID: order_id}
    for committed in (PAYMENT_ID, FAILED_PAYMENT_ID, FIRST_REFUND_ID, LAST_REFUND_ID):
        digest = hashlib.sha256(f"{committed} {order_id}".encode()).hexdigest()
        ids[committed] = f"{committed.split('_')[0]}_{digest[:14]}"
    return ids


def _compact(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _settlement() -> bytes:
    entity = {"id": "setl_Rf8uva1MU98B4l", "entity": "settlement", "amount": 48591, "status": "processed"}
    entity |= {"fees": 1179, "tax": 180, "utr": "AXISCN1153863727", "created_at": _REFUNDED_AT}
    return _compact(
        {
            "entity": "event",
            "account_id": webhooks.ACCOUNT_ID,
            "event": "settlement.processed",
            "contains": ["settlement"],
            "payload": {"settlement": {"entity": entity}},
            "created_at": _REFUNDED_AT,
        }
    )


def _unusable(order_id: str, payment_id: str) -> bytes:
    """Return a signed payment without an amount: Razorpay never sends one, and we cannot use it."""
    return _compact(
        {
            "entity": "event",
            "account_id": webhooks.ACCOUNT_ID,
            "event": "payment.captured",
            "contains": ["payment"],
            "payload": {"payment": {"entity": {"id": payment_id, "order_id": order_id, "email": CUSTOMER.email}}},
            "created_at": _PAID_AT + 5,
        }
    )


def events(order_id: str = ORDER_ID) -> dict[str, dict[str, Any]]:
    """Return every event by file name.

    Args:
        order_id: the order of the story. An order other than the committed one gets its own payments and refunds.
    """
    ids = _ids_of(order_id)

    def told(event: str, refund: str | None = None) -> bytes:
        body = webhook_body(event, refund=refund)
        for committed, own in ids.items():
            body = body.replace(committed.encode(), own.encode())
        return body

    authorized = told("payment.authorized")
    captured = told("payment.captured")
    first_refund = told("refund.processed", FIRST_REFUND_ID)
    bad_fields = {**OFFER, "job_id": "11", "client_id": True, "amount": 499.505, "discount": 1}
    del bad_fields["freelancer_id"]
    triple = checkout(order_id, ids[PAYMENT_ID])
    wrong_signature = {**triple, "razorpay_signature": "0" * 64}
    return {
        "create-order": from_frontend(_CREATE_ORDER, OFFER),
        "create-order-string-amount": from_frontend(_CREATE_ORDER, {**OFFER, "amount": "499.50", "currency": "INR"}),
        "create-order-bad-fields": from_frontend(_CREATE_ORDER, bad_fields),
        "create-order-another-client": from_frontend(_CREATE_ORDER, OFFER, user_id=SOMEBODY_ELSE),
        "create-order-no-token": from_frontend(_CREATE_ORDER, OFFER, user_id=None),
        "verify": from_frontend(_VERIFY, triple),
        "verify-wrong-signature": from_frontend(_VERIFY, wrong_signature),
        "verify-unknown-order": from_frontend(_VERIFY, checkout(UNKNOWN_ORDER_ID, ids[PAYMENT_ID])),
        "get": reading(order_id, slash=False),
        "get-trailing-slash": reading(order_id),
        "list": listing(role="client"),
        "list-as-freelancer": listing(user_id=FREELANCER, role="freelancer"),
        "list-of-application": listing(application_id=str(OFFER["application_id"])),
        "list-of-another-clients-application": listing(
            user_id=SOMEBODY_ELSE, application_id=str(OFFER["application_id"])
        ),
        "list-without-parameters": listing(),
        "refund": from_service(order_id, {"amount": "199.50", "reason": "goodwill"}, key="a-key-of-the-callers"),
        "webhook-payment-authorized": from_razorpay(authorized),
        "webhook-payment-captured": from_razorpay(captured),
        "webhook-payment-captured-base64": from_razorpay(unroundtrippable(captured), as_base64=True),
        "webhook-payment-failed": from_razorpay(told("payment.failed")),
        "webhook-order-paid": from_razorpay(told("order.paid")),
        "webhook-refund-created": from_razorpay(told("refund.created", FIRST_REFUND_ID)),
        "webhook-refund-processed-part": from_razorpay(first_refund),
        "webhook-refund-processed-full": from_razorpay(told("refund.processed", LAST_REFUND_ID)),
        "webhook-previous-secret": from_razorpay(authorized, secret=development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS),
        "webhook-forged": from_razorpay(captured, secret=FORGED_WITH),
        "webhook-ignored": from_razorpay(_settlement()),
        "webhook-unusable": from_razorpay(_unusable(order_id, ids[PAYMENT_ID])),
    }


def scheduled() -> dict[str, dict[str, Any]]:
    """Return the inputs of outbox and reconcile by file name, which names the function and the purpose."""
    order = {"order_id": ORDER_ID}
    payment = {**order, "razorpay_payment_id": PAYMENT_ID}
    by = {"role": "PaymentsOperator", "session": "asha", "cause": "agreed_with_client", "ticket": "OPS-123"}
    decided: dict[str, Any] = {"by": by}
    return {
        "outbox": {},
        "reconcile-watch": {"lane": "watch"},
        "reconcile-sweep": {"lane": "sweep"},
        "reconcile-expiry": {"lane": "expiry"},
        "reconcile-look": {"look": order},
        "reconcile-find": {"find": {"razorpay_payment_id": PAYMENT_ID}},
        "reconcile-accept": {"accept": payment | decided},
        "reconcile-release-order": {"release": order | decided},
        "reconcile-release-payment": {"release": payment | decided},
        "reconcile-note": {"note": order | decided},
        "reconcile-republish": {"republish": order | decided},
        "reconcile-rebuild": {"rebuild": {"from": ORDERED_AT, "to": ORDERED_AT + 3600}},
        "reconcile-settlements": {"settlements": {"day": "2026-02-28"}},
    }


def files(order_id: str = ORDER_ID) -> dict[str, str]:
    """Return the text of every file in `events/`, by name."""
    return {f"{name}.json": json.dumps(event, indent=2) + "\n" for name, event in events(order_id).items()}


def scheduled_files() -> dict[str, str]:
    """Return the text of every file in `events/schedules/`, by name."""
    return {f"{name}.json": json.dumps(event, indent=2) + "\n" for name, event in scheduled().items()}


def write(folder: Path, order_id: str) -> None:
    """Write the story of an order that create-order created, for `sam local invoke` on a real table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(order_id).items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Write the files, and remove those that are no longer generated."""
    for folder, made in ((FOLDER, files()), (FOLDER / "schedules", scheduled_files())):
        folder.mkdir(exist_ok=True)
        for stale in folder.glob("*.json"):
            if stale.name not in made:
                stale.unlink()
        for name, text in made.items():
            (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(files())} events in {FOLDER.name}/, and {len(scheduled())} in its schedules/")


if __name__ == "__main__":
    main()
