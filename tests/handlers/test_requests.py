"""What every endpoint checks first: routes, sizes, tokens, JSON; and the form of every refusal."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from sandbox import development, events
from tests.adapters.test_http import LOAD_BALANCER, OTHER_EVENTS
from tests.handlers.service import CREATE_ORDER, GET, LIST, VERIFY, WEBHOOK, Answer, Service, committed

NOW = events.ORDERED_AT
FAR = 4_102_444_800
KIB = 1024


def problem(answer: Answer, status: int, code: str) -> Mapping[str, Any]:
    """The body, after checking what all problems share."""
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    body: Mapping[str, Any] = answer.body
    wanted = ["type", "title", "status", "detail", "code", "request_id"]
    assert list(body) == [*wanted, "errors"] if code == "invalid_request" else wanted
    assert body["status"] == status
    assert body["type"] == f"urn:payment-service:problem:{code}"
    assert body["request_id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert all(body[name] for name in wanted)
    return body


def posting(route: str, body: str | None, **changes: Any) -> dict[str, Any]:
    event = events.from_frontend(route, {})
    return {**event, "body": body, **changes}


def with_token(event: dict[str, Any], authorization: str | None) -> dict[str, Any]:
    headers = {name: value for name, value in event["headers"].items() if name.lower() != "authorization"}
    if authorization is not None:
        headers["Authorization"] = authorization
    return {**event, "headers": headers}


def refused_before_any_call(service: Service, event: dict[str, Any], status: int, code: str) -> Mapping[str, Any]:
    service.forget()
    body = problem(service.invoke(event), status, code)
    assert service.outside_calls() == []
    return body


# --- routes and headers ---


@pytest.mark.parametrize("slash", ["", "/"])
def test_both_forms_of_a_path_are_served(ordered: Service, slash: str) -> None:
    for event in (
        events.from_frontend(CREATE_ORDER, events.OFFER),
        events.from_frontend(VERIFY, events.checkout()),
        events.reading(events.ORDER_ID),
        events.listing(role="client"),
        committed("webhook-payment-captured"),
    ):
        path = event["path"].rstrip("/") + slash
        # A local API may report the called path as the resource.
        for resource in {event["resource"], event["resource"] + slash}:
            assert ordered.invoke({**event, "path": path, "resource": resource}, _function(event)).status == 200


def _function(event: dict[str, Any]) -> str:
    return {CREATE_ORDER: "create_order", WEBHOOK: "webhook"}.get(event["resource"], "verify")


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_header_names_are_compared_without_case(ordered: Service, case: Any) -> None:
    for event in (events.from_frontend(VERIFY, events.checkout()), committed("webhook-payment-captured")):
        headers = {case(name): value for name, value in event["headers"].items()}
        assert ordered.invoke({**event, "headers": headers}).status == 200


@pytest.mark.parametrize(
    ("function", "method", "resource", "allow"),
    [
        ("create_order", "GET", CREATE_ORDER, "POST"),
        ("verify", "PUT", VERIFY, "POST"),
        ("verify", "POST", GET, "GET"),
        ("verify", "POST", LIST, "GET"),
        ("webhook", "DELETE", WEBHOOK, "POST"),
    ],
)
def test_another_method_is_405_and_told_which_are_allowed(
    service: Service, function: str, method: str, resource: str, allow: str
) -> None:
    event = {**events.from_frontend(resource, {}), "httpMethod": method}
    answer = service.invoke(event, function)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == allow
    assert service.outside_calls() == []


@pytest.mark.parametrize("function", ["create_order", "verify", "webhook"])
def test_an_unknown_route_is_404(service: Service, function: str) -> None:
    event = {**events.from_frontend("/api/payments/elsewhere", {}), "httpMethod": "POST"}
    problem(service.invoke(event, function), 404, "not_found")


@pytest.mark.parametrize(
    "event",
    [
        {"httpMethod": "POST"},
        {"httpMethod": "", "headers": None, "body": None, "requestContext": None, "pathParameters": None},
        {"resource": None, "httpMethod": "POST"},
        {"httpMethod": "GET", "headers": [], "requestContext": "x", "body": {"a": 1}, "pathParameters": 3},
        {"resource": CREATE_ORDER, "httpMethod": "POST", "headers": [["a", "b"]], "body": 5},
        {"resource": WEBHOOK, "httpMethod": "POST", "headers": "x", "body": ["y"]},
        {"resource": GET, "httpMethod": "GET", "pathParameters": ["order_id"], "headers": {}},
    ],
    ids=range(7),
)
@pytest.mark.parametrize("function", ["create_order", "verify", "webhook"])
def test_whatever_the_event_the_answer_is_a_documented_one(
    service: Service, function: str, event: dict[str, Any]
) -> None:
    answer = service.invoke(event, function)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.code in {"not_found", "unauthenticated", "invalid_signature"}


@pytest.mark.parametrize("name", ["create-order", "create-order-no-token", "verify", "get", "list"])
def test_answers_to_pages_are_for_the_one_origin_and_never_stored(ordered: Service, name: str) -> None:
    answer = ordered.replay(name)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert answer.headers["Vary"] == "Origin"
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_an_origin_no_page_may_read_the_answer(ordered: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORS_ORIGIN")
    assert "Access-Control-Allow-Origin" not in ordered.replay("get").headers


def test_success_is_plain_json(ordered: Service) -> None:
    for name in ("create-order", "verify", "get", "webhook-payment-captured"):
        assert ordered.replay(name).headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("event", OTHER_EVENTS.values(), ids=OTHER_EVENTS.keys())
@pytest.mark.parametrize("function", ["create_order", "verify", "webhook"])
def test_an_event_that_no_rest_api_sent_is_no_quiet_404(service: Service, function: str, event: Any) -> None:
    with pytest.raises(Exception, match=r"\AConfigurationError\Z"):
        service.invoke(event, function)
    assert service.metrics() == ["ConfigurationErrors"]
    (line,) = service.log()
    assert line["level"] == "ERROR"
    assert service.outside_calls() == []


@pytest.mark.parametrize("function", ["create_order", "verify", "webhook"])
def test_a_load_balancers_event_is_served_like_a_rest_apis(service: Service, function: str) -> None:
    assert service.invoke(LOAD_BALANCER, function).code == ("unauthenticated" if function == "verify" else "not_found")


@pytest.mark.parametrize("name", ["Authorization", "X-Razorpay-Signature"])
def test_a_header_that_comes_in_two_spellings_with_two_values_counts_as_missing(ordered: Service, name: str) -> None:
    event = committed("verify" if name == "Authorization" else "webhook-payment-captured")
    code = "unauthenticated" if name == "Authorization" else "invalid_signature"
    good = event["headers"][name]
    for headers in ({name.lower(): "x", name: good}, {name: good, name.upper(): "x"}):
        disputed = {**event, "headers": {**event["headers"], **headers}}
        refused_before_any_call(ordered, disputed, 401 if name == "Authorization" else 400, code)
    same = {**event, "headers": {**event["headers"], name.lower(): good}}
    assert ordered.invoke(same).status == 200


def test_a_log_line_says_of_the_address_only_what_the_routes_say(service: Service) -> None:
    event = {"path": "/gaurav.kumar@example.com", "httpMethod": "hunter2", "requestContext": {"requestId": "a b"}}
    body = service.invoke(event, "verify").body
    assert body["request_id"] == ""
    (line,) = service.log()
    assert (line["method"], line["route"], line["request_id"]) == ("(unknown)", "(unknown)", "")


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "json",
        "application/json; charset=utf-16",
        "application/json;charset='latin-1'",
        'application/json; x=1; charset = "utf-7"',
        "application/json, text/plain",
    ],
)
def test_another_media_type_is_415(service: Service, media_type: str) -> None:
    for route in (CREATE_ORDER, VERIFY):
        event = events.from_frontend(route, events.OFFER)
        event["headers"]["Content-Type"] = media_type
        refused_before_any_call(service, event, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON; charset=utf-8", 'application/json;charset="UTF8"', None]
)
def test_json_by_any_spelling_is_taken(ordered: Service, media_type: str | None) -> None:
    event = committed("verify")
    del event["headers"]["Content-Type"]
    if media_type is not None:
        event["headers"]["content-type"] = media_type
    assert ordered.invoke(event).status == 200


# --- sizes and base64 ---


def padded(document: Mapping[str, Any], size: int, filler: str = " ") -> str:
    """The document as JSON of exactly this many bytes."""
    text = json.dumps(document)
    missing = size - len(text.encode())
    assert missing % len(filler.encode()) == 0
    return text[:-1] + filler * (missing // len(filler.encode())) + "}"


@pytest.mark.parametrize("as_base64", [False, True])
def test_a_body_may_have_8_kib_and_not_one_byte_more(ordered: Service, *, as_base64: bool) -> None:
    def event(size: int) -> dict[str, Any]:
        body = padded(events.checkout(), size)
        return posting(
            VERIFY, base64.b64encode(body.encode()).decode() if as_base64 else body, isBase64Encoded=as_base64
        )

    assert ordered.invoke(event(8 * KIB)).status == 200
    refused_before_any_call(ordered, event(8 * KIB + 1), 413, "too_large")


def test_size_is_counted_in_bytes_and_not_in_characters(service: Service) -> None:
    prefix = '{"note":"'
    body = prefix + "é" * ((8 * KIB - len(prefix) - 2) // 2) + '"}'
    assert len(body) < 8 * KIB
    assert len(body.encode()) in {8 * KIB, 8 * KIB - 1}
    refused_before_any_call(service, posting(CREATE_ORDER, body), 400, "invalid_request")
    refused_before_any_call(service, posting(CREATE_ORDER, body[:-2] + "éé" + '"}'), 413, "too_large")


MIB = 1024 * KIB


@pytest.mark.parametrize("size", [64 * KIB, 64 * KIB + 1, 200 * KIB, 6 * MIB, 10 * MIB])
@pytest.mark.parametrize("filler", [" ", "é"])
def test_a_genuine_webhook_is_taken_up_to_api_gateways_own_limit(ordered: Service, filler: str, size: int) -> None:
    body = events.webhook_body("payment.authorized")
    inside = b'"description":"'
    body = body.replace(b'"description":null', inside + b'"')
    room = size - len(body)
    body = body.replace(inside, inside + b"." * (room % len(filler.encode())))
    at_limit = body.replace(inside, inside + (filler * (room // len(filler.encode()))).encode())
    assert len(at_limit) == size
    assert ordered.deliver(at_limit).status == 200
    assert ordered.cloud.item(events.ORDER_ID)["status"] == "authorized"
    forged = events.from_razorpay(at_limit, secret="a-forgers-secret")
    refused_before_any_call(ordered, forged, 400, "invalid_signature")


def test_a_webhook_over_every_limit_has_no_signature_that_could_be_good(ordered: Service) -> None:
    for body in (events.webhook_body("payment.authorized") + b" " * 10 * MIB, b"x" * (10 * MIB + 1)):
        for as_base64 in (False, True):
            event = events.from_razorpay(body, as_base64=as_base64)
            refused_before_any_call(ordered, event, 400, "invalid_signature")


def test_too_large_is_noticed_before_anything_else(service: Service) -> None:
    refused_before_any_call(service, posting(CREATE_ORDER, "x" * (8 * KIB + 1), headers={}), 413, "too_large")
    refused_before_any_call(service, posting(WEBHOOK, "x" * (64 * KIB + 1), headers={}), 400, "invalid_signature")


@pytest.mark.parametrize("body", ["?", "ab", "é", "YQ==\n", "=", "YWJj-_=="])
def test_a_body_that_is_not_the_base64_it_is_said_to_be_is_malformed(service: Service, body: str) -> None:
    refused_before_any_call(service, posting(CREATE_ORDER, body, isBase64Encoded=True), 400, "malformed_request")
    webhook = {**committed("webhook-payment-captured"), "body": body, "isBase64Encoded": True}
    refused_before_any_call(service, webhook, 400, "invalid_signature")


def test_a_base64_body_is_read_like_any_other(ordered: Service) -> None:
    body = base64.b64encode(json.dumps(events.checkout()).encode()).decode()
    assert ordered.invoke(posting(VERIFY, body, isBase64Encoded=True)).status == 200


# --- JSON ---

MALFORMED = {
    "nothing": None,
    "empty": "",
    "blank": "  ",
    "cut off": '{"job_id":1',
    "a list": "[]",
    "a string": '"x"',
    "a number": "1",
    "null": "null",
    "two documents": "{}{}",
    "a byte order mark": "\ufeff{}",
    "a trailing comma": '{"job_id":1,}',
    "single quotes": "{'job_id':1}",
    "a comment": '{"job_id":1}//',
    "a key twice": '{"amount":1,"amount":2}',
    "a nested key twice": '{"amount":{"a":1,"a":2}}',
    "a key twice by escape": '{"amount":1,"\\u0061mount":2}',
    "NaN": '{"amount":NaN}',
    "Infinity": '{"amount":Infinity}',
    "-Infinity": '{"amount":-Infinity}',
    "65 levels": '{"amount":' + "[" * 64 + "]" * 64 + "}",
    "thousands of levels": "[" * 8000,
    "a lone surrogate": '{"amount":"\\ud800"}',
    "a lone surrogate in a key": '{"\\udfff":1}',
    "a raw lone surrogate": '{"amount":"\ud800"}',
    "a huge integer": '{"job_id":' + "9" * 5000 + "}",
    "an integer of 65 digits": '{"job_id":' + "9" * 65 + "}",
    "a huge fraction": '{"amount":0.' + "1" * 5000 + "}",
    "a huge exponent": '{"amount":1e' + "9" * 30 + "}",
    "a control character": '{"amount":"\x00"}',
    "many escaped quotes": '{"' + '\\"' * 4000,
}


@pytest.mark.parametrize("route", [CREATE_ORDER, VERIFY])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_one_well_formed_json_object_is_malformed(service: Service, route: str, body: str | None) -> None:
    refused_before_any_call(service, posting(route, body), 400, "malformed_request")


@pytest.mark.parametrize("raw", [b"\xff{}", b"\xed\xa0\x80", b'{"a":"\xc0\xaf"}'])
def test_bytes_that_are_not_utf_8_are_malformed(service: Service, raw: bytes) -> None:
    event = posting(CREATE_ORDER, base64.b64encode(raw).decode(), isBase64Encoded=True)
    refused_before_any_call(service, event, 400, "malformed_request")


def test_64_levels_are_well_formed(service: Service) -> None:
    body = '{"amount":' + "[" * 63 + "]" * 63 + "}"
    refused_before_any_call(service, posting(CREATE_ORDER, body), 400, "invalid_request")


# --- fields ---

OUT_OF_RANGE = "must be an integer from 1 to 9007199254740991"
WRONG_IDS = [
    *((value, OUT_OF_RANGE) for value in (0, -1, 2**53, 10**30)),
    ("11", "must be an integer, not a string"),
    (True, "must be an integer, not a boolean"),
    (False, "must be an integer, not a boolean"),
    (None, "must be an integer, not null"),
    (1.0, "must be an integer, not a decimal number"),
    (11.5, "must be an integer, not a decimal number"),
    ([], "must be an integer, not an array"),
    ({}, "must be an integer, not an object"),
]


@pytest.mark.parametrize("field", ["job_id", "application_id", "client_id", "freelancer_id"])
@pytest.mark.parametrize(("value", "message"), WRONG_IDS, ids=repr)
def test_an_id_is_an_integer_from_1_to_2_53_less_1(service: Service, field: str, value: object, message: str) -> None:
    event = events.from_frontend(CREATE_ORDER, {**events.OFFER, field: value})
    body = refused_before_any_call(service, event, 400, "invalid_request")
    assert body["errors"] == [{"field": field, "message": message}]


def test_an_order_of_a_client_with_themselves_is_refused_before_anything_is_asked(service: Service) -> None:
    event = events.from_frontend(CREATE_ORDER, {**events.OFFER, "freelancer_id": events.CLIENT})
    body = refused_before_any_call(service, event, 400, "invalid_request")
    assert body["errors"] == [
        {"field": "freelancer_id", "message": "must not equal client_id: nobody can pay themselves"}
    ]


def test_the_largest_id_is_taken(service: Service) -> None:
    answer = service.create_order(job_id=2**53 - 1, freelancer_id=2**53 - 1, application_id=2**53 - 1)
    assert answer.status == 201


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        ("1", 100),
        ("1.00", 100),
        ('"1"', 100),
        ("99999999.99", 9999999999),
        ('"99999999.99"', 9999999999),
        ("1.13", 113),
        ("4.35", 435),
        ("1e2", 10000),
        ("0.1e1", 100),
        ("8.20", 820),
        ("1.1e0", 110),
    ],
)
def test_an_amount_becomes_exact_minor_units(service: Service, amount: str, minor: int) -> None:
    body = json.dumps(events.OFFER).replace("499.5", amount)
    answer = service.invoke(posting(CREATE_ORDER, body))
    assert (answer.status, answer.body["amount"]) == (201, minor)
    assert service.razorpay.asked[0].document["amount"] == minor


@pytest.mark.parametrize(
    "amount",
    [
        "0", "0.99", "-1", "100000000", "99999999.991", "1.001", "1.000", "1e9", "1e-1", '"1.001"', '"abc"', '""',
        '" 1"', '"1 "', '"+1"', '"-1"', '"1e2"', '"1,000"', '"\u0661"', '"NaN"', "true", "false", "null", "[]", "{}",
        '"1."',
    ],
)  # fmt: skip
def test_an_amount_that_cannot_be_is_refused_by_name(service: Service, amount: str) -> None:
    body = json.dumps(events.OFFER).replace("499.5", amount)
    refused = refused_before_any_call(service, posting(CREATE_ORDER, body), 400, "invalid_request")
    assert [error["field"] for error in refused["errors"]] == ["amount"]


@pytest.mark.parametrize("currency", ["USD", "inr", "", "XXX", " INR", 5, None, ["INR"]])
def test_a_currency_that_is_not_listed_is_refused(service: Service, currency: object) -> None:
    event = events.from_frontend(CREATE_ORDER, {**events.OFFER, "currency": currency})
    refused = refused_before_any_call(service, event, 400, "invalid_request")
    assert [error["field"] for error in refused["errors"]] == ["currency"]


def test_every_wrong_field_is_named_at_once_in_our_own_words(service: Service) -> None:
    body = problem(service.replay("create-order-bad-fields"), 400, "invalid_request")
    assert body["errors"] == [
        {"field": "job_id", "message": "must be an integer, not a string"},
        {"field": "client_id", "message": "must be an integer, not a boolean"},
        {"field": "freelancer_id", "message": "is required"},
        {"field": "discount", "message": "is not a known field"},
    ]


def test_an_unknown_fields_name_is_shown_to_its_sender_and_never_logged(service: Service) -> None:
    event = events.from_frontend(CREATE_ORDER, {**events.OFFER, "4111111111111111": 1})
    body = refused_before_any_call(service, event, 400, "invalid_request")
    assert body["errors"] == [{"field": "4111111111111111", "message": "is not a known field"}]
    assert "4111111111111111" not in service.output()
    assert service.log()[0]["why"] == "(another) is not a known field"


def test_an_unknown_fields_name_is_shown_only_if_it_is_plain(service: Service) -> None:
    for name in ("<script>", "é", "a" * 65, "a b", ""):
        event = events.from_frontend(CREATE_ORDER, {**events.OFFER, name: 1})
        body = refused_before_any_call(service, event, 400, "invalid_request")
        assert body["errors"] == [{"field": "(unprintable)", "message": "is not a known field"}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("razorpay_order_id", "order_short"),
        ("razorpay_order_id", "order_DESlLckIVRkHWj\n"),
        ("razorpay_order_id", "pay_DESlfW9H8K9uqM"),
        ("razorpay_order_id", None),
        ("razorpay_payment_id", "pay_DESlfW9H8K9uq/"),
        ("razorpay_payment_id", 5),
        ("razorpay_signature", None),
        ("razorpay_signature", 5),
    ],
)
def test_verify_takes_ids_of_razorpays_form_only(ordered: Service, field: str, value: object) -> None:
    event = events.from_frontend(VERIFY, {**events.checkout(), field: value})
    body = refused_before_any_call(ordered, event, 400, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]


# --- tokens ---


def bearer(claims: Mapping[str, Any], key: str = development.JWT_SECRET, algorithm: str = "HS256") -> str:
    return f"Bearer {jwt.encode(dict(claims), key, algorithm=algorithm)}"


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any], signature: str = "") -> str:
    def part(document: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    return f"Bearer {part(header)}.{part(claims)}.{signature}"


GOOD: Mapping[str, Any] = {"user_id": events.CLIENT, "exp": FAR}
VALID = events.token(events.CLIENT)
UNACCEPTABLE: dict[str, str | None] = {
    "no header": None,
    "nothing": "",
    "no scheme": VALID,
    "Basic": f"Basic {VALID}",
    "Token": f"Token {VALID}",
    "no space": f"Bearer{VALID}",
    "no token": "Bearer ",
    "not a token": "Bearer x",
    "two parts": "Bearer a.b",
    "three empty parts": "Bearer ..",
    "two tokens": f"Bearer {VALID} {VALID}",
    "not ASCII": "Bearer é.é.é",
    "a lone surrogate": "Bearer \ud800",
    "a changed signature": f"Bearer {VALID[:-4]}AAAA",
    "no signature": f"Bearer {VALID.rpartition('.')[0]}.",
    "a deep header": f"Bearer {base64.urlsafe_b64encode(b'[' * 5000).decode().rstrip('=')}.e30.AAAA",
    "expired": bearer({**GOOD, "exp": 1_700_000_000}),
    "not yet valid": bearer({**GOOD, "nbf": FAR - 10}),
    "exp a text": bearer({**GOOD, "exp": "tomorrow"}),
    "exp endless": bearer({**GOOD, "exp": float("inf")}),
    "no exp": bearer({"user_id": 42}),
    "no user": bearer({"exp": FAR}),
    "another key": bearer(GOOD, "x" * 40),
    "an empty key": unsigned({"alg": "HS256", "typ": "JWT"}, GOOD, "AAAA"),
    "alg none": unsigned({"alg": "none", "typ": "JWT"}, GOOD),
    "alg None": unsigned({"alg": "None"}, GOOD),
    "another alg": bearer(GOOD, "x" * 64, "HS512"),
    "the right key and another alg": bearer(GOOD, development.JWT_SECRET + "x" * 14, "HS512"),
    "alg RS256": unsigned({"alg": "RS256"}, GOOD, "AAAA"),
    "crit": unsigned({"alg": "HS256", "crit": ["x"]}, GOOD, "AAAA"),
    "a refresh token": bearer({**GOOD, "token_type": "refresh"}),
    "claims that are a list": f"Bearer {jwt.api_jws.encode(b'[]', development.JWT_SECRET)}",
    "over 8 KiB": bearer({**GOOD, "padding": "x" * 8192}),
    **{
        f"user {value!r}": bearer({**GOOD, "user_id": value})
        for value in (
            True, False, None, 0, -42, 42.0, 42.5, "", "042", "42.0", "+42", "-42", " 42", "42 ", "4_2", "\u0664\u0662",
            "0x2a",
            "1e3", "9" * 400, str(2**53), 2**53, 10**30, [42], {"id": 42}, "user",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("authorization", UNACCEPTABLE.values(), ids=UNACCEPTABLE.keys())
def test_no_valid_token_is_401_and_nothing_else_happens(ordered: Service, authorization: str | None) -> None:
    for event in (
        events.from_frontend(CREATE_ORDER, events.OFFER),
        events.from_frontend(VERIFY, events.checkout()),
        events.reading(events.ORDER_ID),
    ):
        body = refused_before_any_call(ordered, with_token(event, authorization), 401, "unauthenticated")
        if authorization:
            assert authorization.removeprefix("Bearer ").strip() not in ordered.output() + str(body) or (
                len(authorization) < 16
            )


def test_a_401_says_which_scheme_is_wanted(service: Service) -> None:
    assert service.replay("create-order-no-token").headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("user_id", [42, "42"], ids=["a number", "its decimal text"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_user_may_be_a_number_or_its_text(ordered: Service, user_id: object, scheme: str) -> None:
    authorization = bearer({**GOOD, "user_id": user_id}).replace("Bearer", scheme)
    assert ordered.invoke(with_token(events.reading(events.ORDER_ID), authorization)).status == 200


def test_the_token_is_looked_at_before_the_body(service: Service) -> None:
    for body in ("", "{", '{"job_id":"x"}'):
        event = with_token(posting(CREATE_ORDER, body), None)
        refused_before_any_call(service, event, 401, "unauthenticated")
    event = with_token(posting(CREATE_ORDER, "{"), None)
    event["headers"]["Content-Type"] = "text/plain"
    refused_before_any_call(service, event, 401, "unauthenticated")


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({}, 401),
        ({"iss": "https://id.example.com"}, 401),
        ({"aud": "payments"}, 401),
        ({"iss": "https://id.example.com", "aud": "others"}, 401),
        ({"iss": "https://evil.example.com", "aud": "payments"}, 401),
        ({"iss": "https://id.example.com", "aud": "payments"}, 200),
        ({"iss": "https://id.example.com", "aud": ["others", "payments"]}, 200),
    ],
)
def test_issuer_and_audience_are_insisted_on_where_they_are_configured(
    ordered: Service, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], status: int
) -> None:
    monkeypatch.setenv("JWT_ISSUER", "https://id.example.com")
    monkeypatch.setenv("JWT_AUDIENCE", "payments")
    event = with_token(events.reading(events.ORDER_ID), bearer({**GOOD, **claims}))
    assert ordered.invoke(event).status == status


def test_an_audience_nobody_configured_is_not_looked_at(ordered: Service) -> None:
    event = with_token(events.reading(events.ORDER_ID), bearer({**GOOD, "aud": "whoever", "iss": "whoever"}))
    assert ordered.invoke(event).status == 200


def test_another_claim_may_name_the_user(ordered: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_USER_CLAIM", "uid")
    event = events.reading(events.ORDER_ID)
    assert ordered.invoke(with_token(event, bearer({"uid": 42, "exp": FAR}))).status == 200
    assert ordered.invoke(with_token(event, bearer(GOOD))).status == 401


@pytest.mark.parametrize("subject", ["42", 42], ids=["a text", "a number"])
def test_the_subject_may_name_the_user(ordered: Service, monkeypatch: pytest.MonkeyPatch, subject: object) -> None:
    monkeypatch.setenv("JWT_USER_CLAIM", "sub")
    event = with_token(events.reading(events.ORDER_ID), bearer({"sub": subject, "exp": FAR}))
    assert ordered.invoke(event).status == 200


def test_the_client_must_be_the_caller(service: Service) -> None:
    body = refused_before_any_call(service, committed("create-order-another-client"), 403, "forbidden")
    assert "errors" not in body
