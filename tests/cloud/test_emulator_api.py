"""API Gateway on the emulator: its public port, and the patches it needs."""

import json
import statistics
import time

import pytest

from tests.cloud.conftest import Deployed

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Origin": "https://shop.example",
    "Access-Control-Allow-Methods": "GET,POST,OPTIONS",
    "Access-Control-Allow-Headers": "Authorization,Content-Type",
}


@pytest.mark.parametrize("path", ["/things", "/things/"])
def test_a_route_is_served_with_and_without_a_trailing_slash(patched: Deployed, path: str) -> None:
    answer = patched.call("POST", path, {"a": 1})

    assert answer.status_code == 200
    event = answer.json()
    assert (event["path"], event["resource"], event["body"]) == (path, "/things", '{"a": 1}')


@pytest.mark.parametrize("path", ["/things/12", "/things/12/"])
def test_a_route_with_a_parameter_is_served_with_and_without_a_trailing_slash(patched: Deployed, path: str) -> None:
    event = patched.call("GET", path).json()

    assert event["path"] == path
    assert event["resource"] == "/things/{thing_id}"
    assert event["pathParameters"] == {"thing_id": "12"}


def test_the_front_door_hides_the_stage_and_sends_payload_format_1(patched: Deployed) -> None:
    event = patched.call("POST", "/things/", {}).json()

    assert event["version"] == "1.0"
    assert event["requestContext"]["stage"] == "live"
    assert "live" not in event["path"]


def test_the_front_door_does_not_open_the_emulators_own_pages(patched: Deployed) -> None:
    assert patched.call("GET", "/_ministack/health").status_code == 404
    assert patched.call("POST", "/_ministack/reset").status_code == 404


def test_a_preflight_is_answered_with_the_cors_headers_of_the_template(patched: Deployed) -> None:
    answer = patched.call("OPTIONS", "/things/")

    assert answer.status_code == 200
    assert PREFLIGHT_HEADERS.items() <= dict(answer.headers).items()


def test_the_stock_emulator_still_answers_a_preflight_without_cors_headers(stock: Deployed) -> None:
    assert not PREFLIGHT_HEADERS.keys() & stock.call("OPTIONS", "/things/").headers.keys()


def test_an_unknown_route_is_answered_with_the_gateway_response_of_the_template(patched: Deployed) -> None:
    answer = patched.call("GET", "/nothing/")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert answer.json() == {
        "status": 404,
        "code": "not_found",
        "request_id": answer.headers["x-amzn-requestid"],
    }


def test_the_stock_emulator_still_ignores_gateway_responses(stock: Deployed) -> None:
    answer = stock.call("GET", "/nothing/")

    assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})


@pytest.mark.parametrize("fault", ["raise", "exit", "sleep", "string"])
def test_a_failed_function_is_answered_as_aws_does_and_shows_nothing_of_itself(patched: Deployed, fault: str) -> None:
    answer = patched.call("POST", "/faulty/", {"fault": fault})

    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_the_stock_emulator_still_leaks_the_functions_error(stock: Deployed) -> None:
    assert "the secret reason" in stock.call("POST", "/faulty/", {"fault": "raise"}).text


def milliseconds_of_a_warm_call(deployed: Deployed) -> float:
    deployed.call("POST", "/faulty/", {})
    times = []
    for _ in range(7):
        started = time.perf_counter()
        deployed.call("POST", "/faulty/", {})
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def test_a_warm_call_takes_less_than_the_stock_emulators_floor_of_50_ms(patched: Deployed) -> None:
    assert milliseconds_of_a_warm_call(patched) < 40


def test_the_stock_emulator_still_takes_50_ms_for_a_warm_call(stock: Deployed) -> None:
    assert milliseconds_of_a_warm_call(stock) >= 50


def test_a_handled_error_leaves_the_function_warm(patched: Deployed) -> None:
    first = patched.call("POST", "/faulty/", {}).json()
    patched.call("POST", "/faulty/", {"fault": "raise"})

    assert patched.call("POST", "/faulty/", {}).json() == first


def test_a_function_that_timed_out_is_replaced(patched: Deployed) -> None:
    first = patched.call("POST", "/faulty/", {}).json()
    patched.call("POST", "/faulty/", {"fault": "sleep"})

    assert patched.call("POST", "/faulty/", {}).json() != first


def test_a_functions_errors_carry_their_type_and_trace(patched: Deployed) -> None:
    kind, document = patched.invoke("Faulty", {"body": json.dumps({"fault": "raise"})})

    assert kind == "Unhandled"
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "the secret reason")
    assert "app.py" in document["stackTrace"][0]
