"""Turn Lambda events into requests, and every outcome into a response.

This is the only place that may catch everything. Any input gets a documented response, and unexpected errors are
logged by type and place, never by message.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from payments.adapters.http import Request, Response, problem_for, problem_response
from payments.adapters.log import RequestLog
from payments.core.errors import (
    ConfigurationError,
    GatewayRefused,
    MethodNotAllowed,
    NotConfiguredYet,
    PaymentServiceError,
    RequestError,
    RouteNotFound,
)

type Endpoint = Callable[[Request, RequestLog], Response]
type ScheduledJob = Callable[[object, Callable[[], int], RequestLog], dict[str, Any]]
"""Takes the schedule's input (anything), the remaining milliseconds and the log. Returns counts."""
type LambdaHandler = Callable[[Mapping[str, Any], Any], dict[str, Any]]

_SERVER_ERROR = 500


class RunFailed(Exception):
    """An invocation failed. Carries the type of the error; the log says where it happened."""


class GivenUp(Exception):
    """An endpoint failed, and retrying would not help: acknowledge the request, and alert a person.

    The failure is its cause.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def lambda_boundary(service: str, routes: Mapping[tuple[str, str], Endpoint]) -> LambdaHandler:
    """Return the Lambda handler for some routes.

    Args:
        service: the function's name in logs and metrics.
        routes: endpoints by method and route, such as `("POST", "/api/payments/verify")`.
    """
    words = frozenset(word for route in routes for word in route)

    def lambda_handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        log = RequestLog(service, _function_request_id(context))
        request = _request(event, log)
        log.note(request_id=request.request_id, **_address(request, words))
        response = _answer(request, log, routes)
        log.note(http_status=response.status)
        if response.status >= _SERVER_ERROR:
            # A metric filter counts failures by version, so a canary deployment is judged by its own failures only.
            log.note(function_version=os.environ.get("AWS_LAMBDA_FUNCTION_VERSION"))
            log.alert("request failed")
        else:
            log.info("request")
        return response.to_gateway(os.environ.get("CORS_ORIGIN") or None)

    return lambda_handler


def _request(event: object, log: RequestLog) -> Request:
    """Parse the request in an event.

    Raises:
        RunFailed: there is none. The invoker must notice: a queue keeps its message, a gateway returns 5xx.
    """
    try:
        return Request.from_event(event)
    except ConfigurationError as error:
        _note_problems(error, log)
        log.alert("not a request")
        raise RunFailed(type(error).__name__) from None


def scheduled_boundary(service: str, job: ScheduledJob) -> LambdaHandler:
    """Return the Lambda handler of a scheduled job. A failure is logged by type and place, and raised.

    Lambda retries a run that raises, then sends it to the function's dead-letter queue.
    """

    def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's own object
        log = RequestLog(service, _function_request_id(context))
        try:
            report = job(event, context.get_remaining_time_in_millis, log)
        except Exception as error:  # noqa: BLE001 - the outermost boundary: logged by type and raised again
            log.crash(error)
            if isinstance(error, ConfigurationError):
                _note_problems(error, log)
            log.alert("run failed")
            # Without the message: Lambda logs the error that is raised, and its message may contain anything.
            raise RunFailed(type(error).__name__) from None
        log.info("run")
        return report

    return lambda_handler


def _note_problems(error: ConfigurationError, log: RequestLog) -> None:
    """Note what is wrong with the settings or the event, and count it for the function's alarm."""
    log.note(problems=list(error.problems))
    log.count("ConfigurationErrors")


def _function_request_id(context: object) -> str | None:
    return getattr(context, "aws_request_id", None)


def _address(request: Request, known: frozenset[str]) -> dict[str, str]:
    """Return what a log may say about the address: words from the routes themselves, never the caller's."""
    said = {"method": request.method, "route": request.resource}
    return {name: word if word in known else "(unknown)" for name, word in said.items()}


def _answer(request: Request, log: RequestLog, routes: Mapping[tuple[str, str], Endpoint]) -> Response:
    try:
        return _endpoint(request, routes)(request, log)
    except RequestError as error:
        log.note(code=problem_for(error).code, why=str(error))
        return problem_response(error, request.request_id)
    except GivenUp as given_up:
        _note_failure(given_up.__cause__ or given_up, log)
        log.count("GivenUp")
        log.alert("given up: a person must check this")
        return given_up.answer
    except Exception as error:  # noqa: BLE001 - the outermost boundary: every request gets a response
        return problem_response(_note_failure(error, log), request.request_id)


def _note_failure(error: BaseException, log: RequestLog) -> PaymentServiceError:
    """Note a failure that the caller did not cause, and return the error to respond with."""
    known = error if isinstance(error, PaymentServiceError) else PaymentServiceError()
    log.note(code=problem_for(known).code)
    log.crash(error)
    if isinstance(error, ConfigurationError):
        _note_problems(error, log)
    if isinstance(error, NotConfiguredYet):
        log.note(why=f"not configured yet: {error}")
    if isinstance(error, GatewayRefused):
        log.note(
            gateway_status=error.status,
            gateway_code=error.code,
            gateway_reason=error.reason,
            gateway_field=error.field,
        )
    return known


def _endpoint(request: Request, routes: Mapping[tuple[str, str], Endpoint]) -> Endpoint:
    endpoint = routes.get((request.method, request.resource))
    if endpoint is not None:
        return endpoint
    allowed = sorted(method for method, resource in routes if resource == request.resource)
    if allowed:
        raise MethodNotAllowed(allowed)
    raise RouteNotFound("There is nothing at this address.")
