"""Checks responses against docs/openapi.yaml."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

_DESCRIPTION: Final = Path(__file__).parents[2] / "docs/openapi.yaml"
# For any path that the description does not have.
_ELSEWHERE: Final = {404: "not_found", 405: "method_not_allowed"}


@cache
def _description() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(_DESCRIPTION.read_text(encoding="utf-8"))
    return document


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = _description()
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": _description()["components"]})


def _complaints(schema: dict[str, Any], value: object) -> list[str]:
    return [error.message for error in _validator(json.dumps(schema)).iter_errors(value)]


def undocumented(method: str, route: str, answer: Mapping[str, Any]) -> list[str]:
    """The differences of a response from the description; empty if it is a described one.

    Args:
        method: of the request.
        route: the API's resource, such as `/api/payments/{order_id}`.
        answer: the function's response to API Gateway.
    """
    if set(answer) != {"statusCode", "headers", "body", "isBase64Encoded"} or answer["isBase64Encoded"] is not False:
        return [f"not an answer: {answer}"]
    status, headers = answer["statusCode"], {name.lower(): value for name, value in answer["headers"].items()}
    wrong = [f"{name}: {value!r}" for name, value in headers.items() if not isinstance(value, str)]
    if headers.get("cache-control") != "no-store":
        wrong.append("it may be stored")
    media_type = headers.get("content-type", "")
    body = json.loads(answer["body"])
    operation = _description()["paths"].get(f"{route}/", {}).get(method.lower())
    if operation is None:
        schema = {"$ref": "#/components/schemas/Problem"}
        if _ELSEWHERE.get(status) != body.get("code"):
            wrong.append(f"{status} {body.get('code')} where there is no such operation")
        return [*wrong, *_complaints(schema, body)]
    response = operation["responses"].get(str(status))
    if response is None:
        return [*wrong, f"{status} is not documented"]
    response = _resolved(response)
    if media_type not in response["content"]:
        return [*wrong, f"{media_type!r} is not documented for {status}"]
    for name, header in response.get("headers", {}).items():
        wrong += _complaints(_resolved(header)["schema"], headers.get(name.lower()))
    if media_type == "application/problem+json" and (
        body.get("status") != status or ("errors" in body and status != 400)
    ):
        wrong.append("a problem of another status")
    return [*wrong, *_complaints(response["content"][media_type]["schema"], body)]
