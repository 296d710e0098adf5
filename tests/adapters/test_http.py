"""From API Gateway's events to responses, and the table that maps errors to responses."""

import base64
import inspect
import json
from collections import Counter
from typing import Any

import pytest
import yaml

from payments.adapters.http import PROBLEMS, Request, Response, problem_for, problem_response
from payments.core import errors
from payments.core.errors import FieldError, MalformedRequest, PaymentServiceError, RequestTooLarge, StorageConflict
from tests.handlers.service import ROOT

KINDS = sorted(
    (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PaymentServiceError)),
    key=lambda kind: kind.__name__,
)
BASES = {errors.RequestError, errors.ApplicationRefused, errors.RefundNotPossible}
"""Never raised themselves: each error of theirs has an answer of its own."""
# API Gateway's throttling answers this one before any function runs.
BEFORE_US = {"too_many_requests"}
ORDER_ID = "order_DESlLckIVRkHWj"
LIBRARY_WORDS = "-8<- words of a library -8<-"


def instance(kind: type[PaymentServiceError]) -> PaymentServiceError:
    arguments: dict[type[PaymentServiceError], tuple[object, ...]] = {
        errors.InvalidRequest: ([FieldError("amount", "is required")],),
        errors.QuoteRefused: ("has expired", LIBRARY_WORDS),
        errors.MethodNotAllowed: (["GET", "POST"],),
        errors.RequestTooLarge: (8192,),
        errors.GatewayRefused: (400, LIBRARY_WORDS),
        errors.ConfigurationError: ([LIBRARY_WORDS],),
        errors.ApplicationRefused: (LIBRARY_WORDS, ORDER_ID),
    }
    return kind(*next((arguments[base] for base in kind.__mro__ if base in arguments), (LIBRARY_WORDS,)))


def documented_codes() -> set[str]:
    document = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text(encoding="utf-8"))
    return set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])


# --- the table ---


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_an_answer_in_our_own_words(kind: type[PaymentServiceError]) -> None:
    response = problem_response(instance(kind), "a-request")
    assert response.headers["Content-Type"] == "application/problem+json"
    wanted = ["type", "title", "status", "detail", "code", "request_id"]
    assert list(response.body)[:6] == wanted
    more = ["errors"] if issubclass(kind, errors.InvalidRequest) else []
    # "Every 409 carries the `order_id` it is about."
    more = ["order_id"] if issubclass(kind, errors.ApplicationRefused) else more
    assert list(response.body)[6:] == more
    assert response.body.get("order_id", ORDER_ID) == ORDER_ID
    assert response.body["code"] in documented_codes()
    assert response.body["status"] == response.status
    assert response.body["request_id"] == "a-request"
    assert LIBRARY_WORDS not in json.dumps(response.to_gateway())


def test_every_documented_code_is_that_of_some_error() -> None:
    assert {problem_for(instance(kind)).code for kind in KINDS} == documented_codes() - BEFORE_US


def test_a_code_stands_for_one_thing_which_create_order_and_refund_say_in_their_own_words() -> None:
    codes = Counter((problem.code, problem.status) for problem in PROBLEMS.values())
    assert {code for code, count in codes.items() if count > 1} == {("forbidden", 403), ("gateway_refused", 502)}
    assert len(codes) == len({code for code, _ in codes})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_whose_turn_it_is_shows_in_the_status(kind: type[PaymentServiceError]) -> None:
    problem = problem_for(instance(kind))
    if issubclass(kind, errors.RequestError) and kind not in BASES:
        assert 400 <= problem.status < 500
    elif issubclass(kind, errors.TemporaryError):
        assert problem.status == 503
        assert int(problem.headers["Retry-After"]) > 0
    else:
        assert problem.status in {500, 502}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.AlreadyPaid, "already_paid"),
        (errors.PaymentInProgress, "payment_in_progress"),
        (errors.PaymentUnderReview, "payment_under_review"),
        (errors.PaymentRefunded, "payment_refunded"),
        (errors.PaymentReturned, "payment_returned"),
        (errors.PaymentFailed, "payment_failed"),
    ],
)
def test_what_cannot_be_had_is_a_conflict_of_its_own(kind: type[PaymentServiceError], code: str) -> None:
    assert (problem_for(instance(kind)).status, problem_for(instance(kind)).code) == (409, code)


@pytest.mark.parametrize(
    "kind",
    [
        errors.GatewayRefused,
        errors.KeysRefused,
        errors.NotAtGateway,
        errors.TooOldForGateway,
        errors.ReceiptReused,
        errors.AmountRefused,
    ],
)
def test_whatever_the_gateway_refuses_is_502(kind: type[PaymentServiceError]) -> None:
    assert (problem_for(instance(kind)).status, problem_for(instance(kind)).code) == (502, "gateway_refused")


@pytest.mark.parametrize("kind", [StorageConflict, errors.ConfigurationError, PaymentServiceError])
def test_what_never_should_leave_says_nothing_of_itself(kind: type[PaymentServiceError]) -> None:
    assert problem_for(instance(kind)).code == "internal_error"


# --- the request ---


def request(**event: Any) -> Request:
    return Request.from_event({"httpMethod": "POST", "resource": "/x", **event})


@pytest.mark.parametrize("resource", ["/api/payments/verify", "/api/payments/verify/"])
def test_a_route_has_no_slash_at_its_end(resource: str) -> None:
    assert request(resource=resource).resource == "/api/payments/verify"


LOAD_BALANCER = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:…"}},
    "httpMethod": "POST",
    "path": "/api/payments/verify/",
    "queryStringParameters": {},
    "headers": {"content-type": "application/json"},
    "body": "{}",
    "isBase64Encoded": False,
}
NULLS = dict.fromkeys(
    (
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "pathParameters",
        "stageVariables",
        "body",
    )
)


def test_where_there_is_no_resource_the_path_is_taken() -> None:
    found = Request.from_event(LOAD_BALANCER)
    assert (found.method, found.resource) == ("POST", "/api/payments/verify")


def test_a_rest_api_sends_null_for_what_there_is_none_of() -> None:
    found = request(**NULLS, requestContext={"requestId": "c6af9ac6-7b61"}, isBase64Encoded=False)
    assert (found.header("authorization"), found.read_body(10), found.path_parameters) == (None, b"", {})
    assert found.request_id == "c6af9ac6-7b61"


def test_every_value_of_a_query_parameter_is_kept_and_none_disappears() -> None:
    found = request(
        queryStringParameters={"a": "2", "b": "3", "c": "4", "d": 5},
        multiValueQueryStringParameters={"a": ["1", "2"], "b": ["3", {"x": 1}], "c": "not a list", "e": []},
    )
    assert found.query == {"a": ("1", "2"), "b": ("3", ""), "c": ("4",), "d": ("",)}
    assert request(**NULLS).query == {}
    assert request(queryStringParameters="x", multiValueQueryStringParameters=["y"]).query == {}


# As AWS documents each of them ("Using AWS Lambda with …").
OTHER_EVENTS: dict[str, Any] = {
    "HTTP API, payload 2.0": {
        "version": "2.0",
        "routeKey": "POST /api/payments/webhook",
        "rawPath": "/api/payments/webhook",
        "headers": {"x-razorpay-signature": "s"},
        "requestContext": {"http": {"method": "POST", "path": "/api/payments/webhook"}, "requestId": "id"},
        "body": "{}",
        "isBase64Encoded": False,
    },
    "a function URL": {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "headers": {},
        "requestContext": {"domainName": "x.lambda-url.ap-south-1.on.aws", "http": {"method": "POST", "path": "/"}},
        "body": "{}",
        "isBase64Encoded": False,
    },
    "HTTP API, payload 1.0 and $default": {"version": "1.0", "resource": "$default", "httpMethod": "POST", "path": "/"},
    "a queue": {"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}]},
    "a topic": {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "{}"}}]},
    "a bus": {"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}},
    "a schedule's own input": {"lane": "watch"},
    "nothing": {},
    "null": None,
    "a list": [],
    "a text": "POST",
    "no method": {"resource": "/api/payments/verify", "path": "/api/payments/verify"},
    "a method that is none": {"resource": "/api/payments/verify", "httpMethod": None},
    "a proxy for everything": {"resource": "/{proxy+}", "httpMethod": "POST", "path": "/api/payments/webhook/"},
    "a proxy below": {"resource": "/api/{proxy+}", "httpMethod": "POST", "path": "/api/payments/webhook/"},
}


@pytest.mark.parametrize("event", OTHER_EVENTS.values(), ids=OTHER_EVENTS.keys())
def test_what_no_rest_api_sent_is_a_mistake_in_the_configuration(event: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="REST API"):
        Request.from_event(event)


@pytest.mark.parametrize("sent", ["X-Razorpay-Signature", "x-razorpay-signature", "X-RAZORPAY-SIGNATURE"])
@pytest.mark.parametrize("asked", ["X-Razorpay-Signature", "x-razorpay-signature"])
def test_headers_are_found_in_any_case(sent: str, asked: str) -> None:
    assert request(headers={sent: "s"}).header(asked) == "s"
    assert request(headers={sent: None}).header(asked) is None


@pytest.mark.parametrize(
    ("body", "is_base64", "raw"),
    [
        (None, False, b""),
        ("", False, b""),
        ("é \u2028 \U0001f600", False, "é \u2028 \U0001f600".encode()),
        ("\ud800", False, b"\xed\xa0\x80"),
        ("/w==", True, b"\xff"),
        ("", True, b""),
        ({"a": 1}, False, b""),
    ],
)
def test_a_body_is_the_bytes_that_were_sent(body: object, *, is_base64: bool, raw: bytes) -> None:
    assert request(body=body, isBase64Encoded=is_base64).read_body(100) == raw


@pytest.mark.parametrize("size", range(9))
@pytest.mark.parametrize("limit", range(9))
def test_the_limit_is_exact_in_both_forms(size: int, limit: int) -> None:
    raw = b"x" * size
    forms = [request(body=raw.decode()), request(body=base64.b64encode(raw).decode(), isBase64Encoded=True)]
    for form in forms:
        if size <= limit:
            assert form.read_body(limit) == raw
        else:
            with pytest.raises(RequestTooLarge):
                form.read_body(limit)


@pytest.mark.parametrize("body", ["a", "a===", "ab==cd", "é", "YQ== ", "_-8=", "\x00\x00\x00\x00"])
def test_base64_is_read_strictly(body: str) -> None:
    with pytest.raises(MalformedRequest):
        request(body=body, isBase64Encoded=True).read_body(100)


@pytest.mark.parametrize("said", ["true", 1, None, "yes"])
def test_only_true_means_base64(said: object) -> None:
    assert request(body="YQ==", isBase64Encoded=said).read_body(100) == b"YQ=="


# --- the response ---


def test_an_answer_has_the_form_of_a_proxy_integration() -> None:
    assert Response(201, {"a": "é"}, {"Allow": "GET"}).to_gateway("https://app.example.com") == {
        "statusCode": 201,
        "headers": {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "Allow": "GET",
            "Access-Control-Allow-Origin": "https://app.example.com",
            "Access-Control-Expose-Headers": "Retry-After",
            "Vary": "Origin",
        },
        "body": '{"a":"\\u00e9"}',
        "isBase64Encoded": False,
    }
