"""API Gateway's side: a REST API event (payload format 1.0) in, a response out, and the table from error to answer.

Errors are RFC 9457 problem documents in our own words: no stack, no ARN, no table, no library's message.
"""

import base64
import json
import re
from collections.abc import Mapping
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
    """What goes back to API Gateway."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_gateway(self, cors_origin: str | None = None) -> dict[str, Any]:
        """The response as a REST API's proxy integration wants it.

        Args:
            cors_origin: the frontend's origin, if this endpoint is one that browsers call.
        """
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **self.headers}
        if cors_origin is not None:
            headers |= {
                "Access-Control-Allow-Origin": cors_origin,
                # No script of another origin may read it otherwise.
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
    """One request, of which nothing is trusted yet."""

    method: str
    resource: str
    """The route, such as `/api/payments/{order_id}`; without a trailing slash, whichever form was called."""
    request_id: str
    path_parameters: Mapping[str, str]
    _headers: Mapping[str, str] = field(default_factory=dict)
    _body: str = ""
    _is_base64: bool = False

    def header(self, name: str) -> str | None:
        """A header's value, its name compared without case: REST APIs keep whatever case the client sent."""
        return self._headers.get(name.lower())

    def read_body(self, limit_bytes: int) -> bytes:
        """The body's raw bytes, as the client sent them.

        Raises:
            RequestTooLarge: over the limit; noticed before anything is decoded.
            MalformedRequest: announced as base64 and not decodable.
        """
        # Base64 makes four characters of three bytes.
        if len(self._body) > (limit_bytes * 4 // 3 + 4 if self._is_base64 else limit_bytes):
            raise errors.RequestTooLarge(limit_bytes)
        if self._is_base64:
            try:
                raw = base64.b64decode(self._body, validate=True)
            except ValueError as error:
                raise errors.MalformedRequest("The body is not valid base64.") from error
        else:
            # A lone surrogate has no bytes in UTF-8; it is kept as it is, so that the reader refuses it, not this line.
            raw = self._body.encode("utf-8", "surrogatepass")
        if len(raw) > limit_bytes:
            raise errors.RequestTooLarge(limit_bytes)
        return raw

    def require_json(self) -> None:
        """Refuses a body that is announced as something else.

        Raises:
            UnsupportedMediaType: the type is given and is not JSON, or JSON in another encoding than UTF-8.
        """
        media_type, _, parameters = (self.header("content-type") or "application/json").lower().partition(";")
        charset = _CHARSET.search(parameters)
        # JSON has one encoding (RFC 8259, section 8.1): whoever announces another one reads other words than we do.
        if media_type.strip() != "application/json" or (charset is not None and charset[1] not in _UTF_8):
            raise errors.UnsupportedMediaType("The body must be application/json.")

    @classmethod
    def from_event(cls, event: object) -> "Request":
        """The request in an event; its body is not decoded yet. What has not the expected type is taken as absent.

        Raises:
            ConfigurationError: it is no event of a REST API: something else invokes the function, and what it sends
                must not be lost in an answer that nobody reads.
        """
        if not _is_from_rest_api(event):
            raise errors.ConfigurationError(
                ["the function was invoked by something else than a REST API with our routes (payload format 1.0)"]
            )
        event = _mapping(event)
        path = _text(event.get("resource")) or _text(event.get("path"))
        return cls(
            method=_text(event.get("httpMethod")).upper(),
            resource=path.rstrip("/"),
            request_id=_request_id(event.get("requestContext")),
            path_parameters={name: _text(value) for name, value in _mapping(event.get("pathParameters")).items()},
            _headers=_headers(event.get("headers")),
            _body=_text(event.get("body")),
            _is_base64=event.get("isBase64Encoded") is True,
        )


# The routes of a proxy that takes everything: none of ours, so nobody would notice what it sends elsewhere.
_CATCH_ALL = ("{proxy+}", "$default")


def _is_from_rest_api(event: object) -> bool:
    """Whether API Gateway's REST API (or a load balancer, in its form) sent it for one route.

    "Lambda proxy integrations": the events of an HTTP API and a function URL have the version 2.0 and no `httpMethod`,
    nor has what a queue, a bus or a schedule sends.
    """
    if not isinstance(event, Mapping) or not isinstance(event.get("httpMethod"), str):
        return False
    return event.get("version") != "2.0" and not any(mark in _text(event.get("resource")) for mark in _CATCH_ALL)


_UTF_8 = frozenset({"utf-8", "utf8"})
_CHARSET = re.compile(r"""\bcharset\s*=\s*["']?([^"'\s;]*)""")
# API Gateway's own, of hexadecimal digits and hyphens; it goes into logs and answers.
_REQUEST_ID = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _request_id(context: object) -> str:
    request_id = _text(_mapping(context).get("requestId"))
    return request_id if _REQUEST_ID.match(request_id) else ""


def _headers(given: object) -> dict[str, str]:
    """Headers by their names in lower case. One that came twice, in two spellings, has no value that all would read."""
    headers: dict[str, str] = {}
    disputed = set()
    for name, value in _mapping(given).items():
        key = str(name).lower()
        if isinstance(value, str) and headers.setdefault(key, value) != value:
            disputed.add(key)
    return {name: value for name, value in headers.items() if name not in disputed}


# --- errors to answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table: what every error of a kind is answered with."""

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
    errors.RequestTooLarge: Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "The body is too large."),
    errors.UnsupportedMediaType: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body must be application/json."
    ),
    errors.GatewayRefused: Problem(
        HTTPStatus.BAD_GATEWAY, "gateway_refused", "The payment gateway did not accept the order. Nothing was charged."
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
    """The row for an error: its own, else that of the nearest class above it."""
    return next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)


def problem_response(error: errors.PaymentServiceError, request_id: str) -> Response:
    """The answer to an error as `application/problem+json` (RFC 9457)."""
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
