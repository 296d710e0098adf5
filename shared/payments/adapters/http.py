"""API Gateway's side: a REST API event (payload format 1.0) in, a response out, and the table from error to response.

Errors are RFC 9457 problem documents in our own words: no stack trace, ARN, table name or message of a library.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from payments.core import errors

if TYPE_CHECKING:
    from payments.core.answers import ProblemAnswer

RETRY_AFTER_S = 5
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Response:
    """A response to API Gateway."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_gateway(self, cors_origin: str | None = None) -> dict[str, Any]:
        """Return the response in the format of a REST API's proxy integration.

        Args:
            cors_origin: the frontend's origin, if browsers call this endpoint.
        """
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **self.headers}
        if cors_origin is not None:
            headers |= {
                "Access-Control-Allow-Origin": cors_origin,
                # Otherwise scripts of that origin cannot read it.
                "Access-Control-Expose-Headers": "Retry-After",
                "Vary": "Origin",
            }
        return {
            "statusCode": self.status,
            "headers": headers,
            "body": _encode(self.body),
            "isBase64Encoded": False,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Nothing in it is trusted yet."""

    method: str
    resource: str
    """The route, such as `/api/payments/{order_id}`; without a trailing slash, whichever form was called."""
    request_id: str
    path_parameters: Mapping[str, str]
    signed_by: str | None = None
    """The ARN of the caller whose AWS signature API Gateway has checked (authorizer AWS_IAM); None without one."""
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Every value of every query parameter, in the order sent."""
    _headers: Mapping[str, str] = field(default_factory=dict)
    _body: str = ""
    _is_base64: bool = False

    @property
    def is_signed(self) -> bool:
        """Return whether API Gateway has checked the caller's AWS signature."""
        return self.signed_by is not None

    def header(self, name: str) -> str | None:
        """Return a header's value. The case of its name does not matter: REST APIs keep the client's."""
        return self._headers.get(name.lower())

    def read_body(self, limit_bytes: int) -> bytes:
        """Return the body's raw bytes, as the client sent them.

        Raises:
            RequestTooLarge: it exceeds the limit, which is checked before anything is decoded.
            MalformedRequest: it is marked as base64 but cannot be decoded.
        """
        # Base64 encodes three bytes in four characters.
        if len(self._body) > (limit_bytes * 4 // 3 + 4 if self._is_base64 else limit_bytes):
            raise errors.RequestTooLarge(limit_bytes)
        if self._is_base64:
            try:
                raw = base64.b64decode(self._body, validate=True)
            except ValueError as error:
                raise errors.MalformedRequest("The body is not valid base64.") from error
        else:
            # UTF-8 cannot encode a lone surrogate. It is passed on, so that the JSON parser refuses it, not this line.
            raw = self._body.encode("utf-8", "surrogatepass")
        if len(raw) > limit_bytes:
            raise errors.RequestTooLarge(limit_bytes)
        return raw

    def require_json(self) -> None:
        """Refuse a body with another `Content-Type`.

        Raises:
            UnsupportedMediaType: the type is set and is not JSON, or names an encoding other than UTF-8.
        """
        media_type, _, parameters = (self.header("content-type") or "application/json").lower().partition(";")
        charset = _CHARSET.search(parameters)
        # JSON is always UTF-8 (RFC 8259, section 8.1). A client that names another encoding would mean other text.
        if media_type.strip() != "application/json" or (charset is not None and charset[1] not in _UTF_8):
            raise errors.UnsupportedMediaType("The body must be application/json.")

    @classmethod
    def from_event(cls, event: object) -> "Request":
        """Parse the request in an event, without decoding its body. Values of an unexpected type count as absent.

        Raises:
            ConfigurationError: it is not an event of a REST API. Something else invoked the function, and what it sent
                must not be lost in a response that nobody reads.
        """
        if not _is_from_rest_api(event):
            raise errors.ConfigurationError(
                ["the function was invoked by something other than a REST API with our routes (payload format 1.0)"]
            )
        event = _mapping(event)
        path = _text(event.get("resource")) or _text(event.get("path"))
        return cls(
            method=_text(event.get("httpMethod")).upper(),
            resource=path.rstrip("/"),
            request_id=_request_id(event.get("requestContext")),
            signed_by=_text(_mapping(_mapping(event.get("requestContext")).get("identity")).get("userArn")) or None,
            path_parameters={name: _text(value) for name, value in _mapping(event.get("pathParameters")).items()},
            query=_query(event),
            _headers=_headers(event.get("headers")),
            _body=_text(event.get("body")),
            _is_base64=event.get("isBase64Encoded") is True,
        )


# Catch-all routes. We have none: if another API had one, nobody would notice its requests, which would all get 404.
_CATCH_ALL = ("{proxy+}", "$default")


def _is_from_rest_api(event: object) -> bool:
    """Return whether API Gateway's REST API (or a load balancer, in the same format) sent it for one route.

    "Lambda proxy integrations": events of HTTP APIs and function URLs have the version 2.0 and no `httpMethod`. Events
    of queues, buses and schedules have no `httpMethod` either.
    """
    if not isinstance(event, dict) or not isinstance(event.get("httpMethod"), str):
        return False
    return event.get("version") != "2.0" and not any(mark in _text(event.get("resource")) for mark in _CATCH_ALL)


_UTF_8 = frozenset({"utf-8", "utf8"})
_CHARSET = re.compile(r"""\bcharset\s*=\s*["']?([^"'\s;]*)""")
# API Gateway's own: hexadecimal digits and hyphens. It goes into logs and responses.
_REQUEST_ID = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")


def _mapping(value: object) -> Mapping[str, Any]:
    # Lambda's runtime has parsed the event from JSON.
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _request_id(context: object) -> str:
    request_id = _text(_mapping(context).get("requestId"))
    return request_id if _REQUEST_ID.match(request_id) else ""


def _query(event: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return all values of each query parameter. API Gateway sends them twice: all, and the last of each.

    A load balancer or a hand-written event may have only the latter. A value of another type is like an empty one, so
    that no parameter disappears.
    """
    last = {str(name): (_text(value),) for name, value in _mapping(event.get("queryStringParameters")).items()}
    every = _mapping(event.get("multiValueQueryStringParameters"))
    return last | {
        str(name): tuple(map(_text, values)) for name, values in every.items() if isinstance(values, list) and values
    }


def _headers(given: object) -> dict[str, str]:
    """Return headers by lower-case name. One that has two values, in two spellings, is dropped as ambiguous."""
    headers: dict[str, str] = {}
    disputed = set()
    for name, value in _mapping(given).items():
        key = str(name).lower()
        if isinstance(value, str) and headers.setdefault(key, value) != value:
            disputed.add(key)
    return {name: value for name, value in headers.items() if name not in disputed}


# --- errors to responses --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table: the response to every error of a kind."""

    status: HTTPStatus
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


_RETRY_LATER = {"Retry-After": str(RETRY_AFTER_S)}

PROBLEMS: Mapping[type[errors.PaymentServiceError], Problem] = {
    errors.MalformedRequest: Problem(
        HTTPStatus.BAD_REQUEST, "malformed_request", "The body must be one well-formed JSON object."
    ),
    errors.InvalidRequest: Problem(
        HTTPStatus.BAD_REQUEST, "invalid_request", "Some fields are missing or wrong; see errors."
    ),
    errors.InvalidSignature: Problem(
        HTTPStatus.BAD_REQUEST, "invalid_signature", "The signature does not match. Nothing was changed."
    ),
    errors.Unauthenticated: Problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        "A valid access token is needed in the Authorization header. Sign in again.",
        {"WWW-Authenticate": "Bearer"},
    ),
    errors.Forbidden: Problem(HTTPStatus.FORBIDDEN, "forbidden", "Only the client of the application can pay for it."),
    errors.MayNotRefund: Problem(HTTPStatus.FORBIDDEN, "forbidden", "The caller may not request refunds."),
    errors.OrderNotFound: Problem(HTTPStatus.NOT_FOUND, "order_not_found", "There is no such order."),
    errors.RouteNotFound: Problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address."),
    errors.MethodNotAllowed: Problem(
        HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "This address does not take that method."
    ),
    errors.AlreadyPaid: Problem(HTTPStatus.CONFLICT, "already_paid", "This application has already been paid."),
    errors.PaymentInProgress: Problem(
        HTTPStatus.CONFLICT,
        "payment_in_progress",
        "A payment is in progress for this application. Wait until it has settled.",
    ),
    errors.PaymentUnderReview: Problem(
        HTTPStatus.CONFLICT,
        "payment_under_review",
        "A payment for this application is under review. Do not pay again.",
    ),
    errors.PaymentRefunded: Problem(HTTPStatus.CONFLICT, "payment_refunded", "This payment was refunded in full."),
    errors.PaymentReturned: Problem(
        HTTPStatus.CONFLICT, "payment_returned", "This payment was not taken, and its money was given back."
    ),
    errors.PaymentFailed: Problem(HTTPStatus.CONFLICT, "payment_failed", "This payment failed. Nothing was charged."),
    errors.IdempotencyConflict: Problem(
        HTTPStatus.CONFLICT,
        "idempotency_conflict",
        "The Idempotency-Key was used for another request. Use a new key for a new refund.",
    ),
    errors.NothingToRefund: Problem(
        HTTPStatus.CONFLICT, "nothing_to_refund", "Nothing of the payment remains to be refunded."
    ),
    errors.RefundTooOld: Problem(
        HTTPStatus.CONFLICT, "refund_too_old", "The payment is too old: its bank no longer accepts a refund."
    ),
    errors.BalanceTooLow: Problem(
        HTTPStatus.CONFLICT,
        "insufficient_balance",
        "The balance at the payment gateway is lower than the refund. Add funds, then use a new Idempotency-Key.",
    ),
    errors.TooManyRefunds: Problem(
        HTTPStatus.CONFLICT, "too_many_refunds", "The order has too many refunds that failed or have not ended."
    ),
    errors.RequestTooLarge: Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "The body is too large."),
    errors.UnsupportedMediaType: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body must be application/json."
    ),
    errors.GatewayRefused: Problem(
        HTTPStatus.BAD_GATEWAY, "gateway_refused", "The payment gateway did not accept the order. Nothing was charged."
    ),
    errors.RefundNotAccepted: Problem(
        HTTPStatus.BAD_GATEWAY,
        "gateway_refused",
        "The payment gateway did not accept the refund. Nothing was refunded.",
    ),
    errors.GatewayUnavailable: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "gateway_unavailable",
        "The payment gateway cannot be reached right now. Nothing was charged; try again shortly.",
        _RETRY_LATER,
    ),
    errors.TemporaryError: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "The service cannot do this right now. It is safe to try again shortly.",
        _RETRY_LATER,
    ),
    errors.PaymentServiceError: Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side. It has been noted."
    ),
}


def problem_for(error: errors.PaymentServiceError) -> Problem:
    """Return the row of the error's class, or of its nearest base class."""
    return next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)


def problem_response(error: errors.PaymentServiceError, request_id: str) -> Response:
    """Return the response to an error, as `application/problem+json` (RFC 9457)."""
    problem = problem_for(error)
    headers = {"Content-Type": "application/problem+json", **problem.headers}
    body: ProblemAnswer = {
        "type": f"urn:payment-service:problem:{problem.code}",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    if isinstance(error, errors.InvalidRequest):
        body["errors"] = [{"field": item.field, "message": item.message} for item in error.errors]
    if isinstance(error, errors.ApplicationRefused):
        body["order_id"] = error.order_id
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return Response(problem.status.value, body, headers)
