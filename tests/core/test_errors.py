"""What the errors say in the log, and what they carry."""

from payments.core.errors import (
    ApplicationRefused,
    ConfigurationError,
    FieldError,
    GatewayRefused,
    InvalidRequest,
    MethodNotAllowed,
    RequestTooLarge,
    kind_of,
)
from tests.core.story import ORDER_ID

WRONG = (FieldError("amount", "must be from 1.00 to 99999999.99"), FieldError("job_id", "is required"))


def test_an_error_says_all_that_it_was_told() -> None:
    assert str(InvalidRequest(WRONG)) == "amount must be from 1.00 to 99999999.99; job_id is required"
    assert str(RequestTooLarge(8192)) == "The body is larger than 8192 bytes."
    assert str(MethodNotAllowed(("GET", "POST"))) == "Allowed here: GET, POST."
    refused = GatewayRefused(400, "BAD_REQUEST_ERROR", "input_validation_failed", "amount")
    assert str(refused) == "Razorpay answered 400 BAD_REQUEST_ERROR input_validation_failed amount"
    problems = ["STAGE is missing", "JWT_SECRET is shorter than 32 bytes"]
    assert str(ConfigurationError(problems)) == (
        "The function cannot start: STAGE is missing; JWT_SECRET is shorter than 32 bytes."
    )
    assert str(ApplicationRefused("This application has already been paid.", ORDER_ID)) == (
        "This application has already been paid."
    )


def test_an_error_carries_what_its_answer_is_made_of() -> None:
    assert InvalidRequest(list(WRONG)).errors == WRONG
    assert RequestTooLarge(8192).limit_bytes == 8192
    assert MethodNotAllowed(["GET", "POST"]).allowed == ("GET", "POST")
    refused = GatewayRefused(400, "BAD_REQUEST_ERROR", "input_validation_failed", "amount")
    assert (refused.status, refused.code) == (400, "BAD_REQUEST_ERROR")
    assert (refused.reason, refused.field) == ("input_validation_failed", "amount")
    assert ApplicationRefused("paid", ORDER_ID).order_id == ORDER_ID
    assert ConfigurationError(["STAGE is missing"]).problems == ("STAGE is missing",)


def test_a_kind_that_json_does_not_have_is_something_else() -> None:
    assert kind_of(1.5) == "something else"
