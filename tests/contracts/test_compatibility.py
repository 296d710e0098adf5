"""The compatibility check: each class of breaking change is found, and each compatible one passes."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.handlers.service import ROOT
from tools.contracts import __main__ as program
from tools.contracts.compatibility import Contract, check, latest, problems
from tools.contracts.differences import received, sent

DOCS = ROOT / "docs"
PRESENT = Contract.read(DOCS)
API, EVENTS = "pyproject.toml to 2.0.0", "SCHEMA_VERSION in shared/payments/core/events.py to 2.0"
CREATE, VERIFY, READ = "/api/payments/create-order/", "/api/payments/verify/", "/api/payments/{order_id}/"

type Edit = Callable[[dict[str, Any]], Any]


def after(edit: Edit) -> list[str]:
    """What the check says about the present contracts with an edit."""
    edited = {"api": copy.deepcopy(PRESENT.openapi), "events": copy.deepcopy(PRESENT.events)}
    edit(edited)
    assert edited != {"api": PRESENT.openapi, "events": PRESENT.events}, "the edit changes nothing"
    return problems(PRESENT, Contract(edited["api"], edited["events"]))


def operation(of: dict[str, Any], path: str, method: str = "post") -> dict[str, Any]:
    found: dict[str, Any] = of["api"]["paths"][path][method]
    return found


def schema(of: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = of["api"]["components"]["schemas"][name]
    return found


def event(of: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = of["events"][f"{name}.schema.json"]
    return found


def defined(of: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = of["events"]["definitions.schema.json"]["$defs"][name]
    return found


BREAKS_CALLERS: dict[str, tuple[Edit, str]] = {
    "a route is gone": (lambda of: of["api"]["paths"].pop(VERIFY), f"POST {VERIFY}: the route is gone"),
    "a method is gone": (
        lambda of: of["api"]["paths"][READ].pop("get"),
        "GET /api/payments/{}/: the route is gone",
    ),
    "a response is gone": (
        lambda of: operation(of, CREATE)["responses"].pop("200"),
        f"POST {CREATE} 200: the response",
    ),
    "another success": (
        lambda of: operation(of, VERIFY)["responses"].update({"202": {"description": "Later."}}),
        f"POST {VERIFY} 202: the response is new",
    ),
    "a code is gone": (
        lambda of: operation(of, CREATE)["responses"]["409"]["content"]["application/problem+json"]["examples"].pop(
            "already_paid"
        ),
        f"POST {CREATE} 409: the code already_paid is gone",
    ),
    "a code is gone everywhere": (
        lambda of: schema(of, "Problem")["properties"]["code"]["enum"].remove("forbidden"),
        "code: is never forbidden any more",
    ),
    "a header is gone": (
        lambda of: of["api"]["components"]["responses"]["Unavailable"].pop("headers"),
        "503: the header Retry-After is gone",
    ),
    "another media type of an answer": (
        lambda of: operation(of, VERIFY)["responses"]["200"].update(content={"text/plain": {"schema": {}}}),
        "application/json is no longer sent",
    ),
    "another media type of a request": (
        lambda of: operation(of, VERIFY)["requestBody"].update(content={"text/plain": {"schema": {}}}),
        "application/json is no longer accepted",
    ),
    "another token": (lambda of: operation(of, VERIFY).update(security=[{"other": []}]), "authenticate in another way"),
    "a public route is closed": (
        lambda of: operation(of, "/api/payments/webhook/").update(security=[{"accessToken": []}]),
        "authenticate in another way",
    ),
    "a required parameter": (
        lambda of: operation(of, READ, "get")["parameters"].append(
            {"in": "query", "name": "view", "required": True, "schema": {"type": "string"}}
        ),
        "query view: the parameter is new",
    ),
    "a parameter is gone": (
        lambda of: operation(of, "/api/payments/", "get").update(parameters=[]),
        "query role: the parameter is gone",
    ),
    "a parameter takes fewer values": (
        lambda of: next(its for its in operation(of, "/api/payments/", "get")["parameters"] if its["name"] == "role")[
            "schema"
        ].update(enum=["client"]),
        "query role: freelancer is no longer accepted",
    ),
    "a required field of a request": (
        lambda of: schema(of, "CreateOrder")["required"].append("quote"),
        "body quote: is now required",
    ),
    "a field of a request is gone": (
        lambda of: schema(of, "CreateOrder")["properties"].pop("currency"),
        "body currency: is no longer accepted",
    ),
    "a field of a request of another type": (
        lambda of: schema(of, "CreateOrder")["properties"].update(job_id={"type": "string"}),
        "body job_id: integer is no longer accepted",
    ),
    "one form of a field is gone": (
        lambda of: schema(of, "CreateOrder")["properties"]["amount"]["oneOf"].pop(),
        "body amount: string is no longer accepted",
    ),
    "a longer pattern": (
        lambda of: schema(of, "IdempotencyKey").update(pattern="^[a-z]{10}$"),
        "header Idempotency-Key: pattern changes",
    ),
    "a tighter limit": (lambda of: schema(of, "Id").update(maximum=1000), "maximum changes: 9007199254740991 to 1000"),
    "a limit where there was none": (
        lambda of: schema(of, "Verify")["properties"]["razorpay_signature"].update(maxLength=64),
        "body razorpay_signature: maxLength changes: None to 64",
    ),
    "null is refused": (
        lambda of: schema(of, "RequestRefund")["properties"]["reason"]["anyOf"].pop(),
        "body reason: null is no longer accepted",
    ),
    "fewer reasons of a request": (
        lambda of: schema(of, "RequestRefund")["properties"]["reason"]["anyOf"][0]["enum"].remove("goodwill"),
        "body reason: goodwill is no longer accepted",
    ),
    "other fields are refused": (
        lambda of: schema(of, "Verify").update(additionalProperties=False),
        "body: other fields are no longer accepted",
    ),
    "a field that was ignored must have a form": (
        lambda of: schema(of, "Verify")["properties"].update(note={"type": "string"}),
        "body note: anything is no longer accepted",
    ),
    "another default": (
        lambda of: schema(of, "CreateOrder")["properties"]["currency"].update(default="USD"),
        "body currency: the default changes from INR to USD",
    ),
    "a body becomes required": (
        lambda of: operation(of, READ, "get").update(requestBody={"required": True, "content": {}}),
        "body: is now required",
    ),
    "a field of an answer is gone": (
        lambda of: (
            schema(of, "Payment")["properties"].pop("confirmed"),
            schema(of, "Payment")["required"].remove("confirmed"),
        ),
        "200 confirmed: is gone",
    ),
    "a field of an answer may be absent": (
        lambda of: schema(of, "Payment")["required"].remove("confirmed"),
        "200 confirmed: may now be absent",
    ),
    "a field of an answer of another type": (
        lambda of: schema(of, "Order")["properties"].update(payment_id={"type": "string"}),
        "payment_id: may now be string",
    ),
    "a field of an answer may be null": (
        lambda of: schema(of, "Order")["properties"]["key_id"].update(type=["string", "null"]),
        "key_id: may now be null",
    ),
    "a field of an answer is never null": (
        lambda of: schema(of, "Payment")["properties"]["razorpay_payment_id"]["anyOf"].pop(),
        "razorpay_payment_id: is never null any more",
    ),
    "another status": (lambda of: schema(of, "Status")["enum"].append("lost"), "status: may now be lost"),
    "a status is gone": (lambda of: schema(of, "Status")["enum"].remove("authorized"), "is never authorized any more"),
    "any status": (lambda of: schema(of, "Status").pop("enum"), "status: may now be anything"),
    "smaller numbers": (lambda of: schema(of, "MinorUnits").update(minimum=-5), "minimum changes: 0 to -5"),
    "longer pages": (
        lambda of: schema(of, "Payments")["properties"]["payments"].update(maxItems=100),
        "payments: maxItems changes: 25 to 100",
    ),
    "items of another type": (
        lambda of: schema(of, "Payments")["properties"]["payments"].update(items={"type": "string"}),
        "payments.[]: may now be string",
    ),
}
BREAKS_CONSUMERS: dict[str, tuple[Edit, str]] = {
    "an event is gone": (
        lambda of: of["events"].pop("payment.expired.schema.json"),
        "payment.expired: the event is gone",
    ),
    "a field is gone": (
        lambda of: (
            defined(of, "payment")["properties"].pop("method"),
            defined(of, "payment")["required"].remove("method"),
        ),
        "payment.paid payment.method: is gone",
    ),
    "a field may be absent": (
        lambda of: defined(of, "payment")["required"].remove("method"),
        "payment.paid payment.method: may now be absent",
    ),
    "a part may be absent": (
        lambda of: event(of, "payment.refunded")["required"].remove("refund"),
        "payment.refunded refund: may now be absent",
    ),
    "an id of another form": (
        lambda of: defined(of, "event_id").update(pattern="^[0-9]+$"),
        "payment.paid event_id: pattern changes",
    ),
    "a field of another type": (
        lambda of: defined(of, "payment")["properties"]["amount"].update(type="number"),
        "payment.paid payment.amount: may now be number",
    ),
    "a field may be null": (
        lambda of: defined(of, "payment")["properties"]["amount"].update(type=["integer", "null"]),
        "payment.paid payment.amount: may now be null",
    ),
    "another status": (
        lambda of: event(of, "payment.paid")["properties"]["payment"]["properties"].update(
            status={"enum": ["paid", "authorized"]}
        ),
        "payment.paid payment.status: may now be authorized",
    ),
    "another state of a review": (
        lambda of: defined(of, "review_state")["enum"].append("waiting"),
        "payment.review review.state: may now be waiting",
    ),
    "a reason is gone": (
        lambda of: event(of, "payment.review")["properties"]["review"]["properties"]["reason"]["enum"].remove(
            "over_refunded"
        ),
        "review.reason: is never over_refunded any more",
    ),
}
COMPATIBLE: dict[str, Edit] = {
    "a new route": lambda of: of["api"]["paths"].update({"/api/payments/other/": of["api"]["paths"][VERIFY]}),
    "a path parameter of another name": lambda of: of["api"]["paths"].update(
        {READ.replace("order_id", "order"): of["api"]["paths"].pop(READ)}
    ),
    "an optional parameter": lambda of: operation(of, READ, "get")["parameters"].append(
        {"in": "query", "name": "view", "schema": {"type": "string"}}
    ),
    "another way to authenticate": lambda of: operation(of, VERIFY)["security"].append({"other": []}),
    "an optional field of a request": lambda of: schema(of, "CreateOrder")["properties"].update(
        reference={"type": "string"}
    ),
    "a field of a request becomes optional": lambda of: schema(of, "CreateOrder")["required"].remove("job_id"),
    "a wider limit of a request": lambda of: schema(of, "CreateOrder")["properties"]["quote"].update(maxLength=8192),
    "one more form of a field": lambda of: schema(of, "Verify")["properties"]["razorpay_signature"].update(
        type=["string", "null"]
    ),
    "one more reason of a request": lambda of: schema(of, "RequestRefund")["properties"]["reason"]["anyOf"][0][
        "enum"
    ].append("late"),
    "other fields are accepted": lambda of: schema(of, "CreateOrder").pop("additionalProperties"),
    "a new field of an answer": lambda of: schema(of, "Payment")["properties"].update(note={"type": "string"}),
    "a field of an answer is always there": lambda of: schema(of, "Problem")["required"].append("errors"),
    "a new code": lambda of: schema(of, "Problem")["properties"]["code"]["enum"].append("teapot"),
    "a new error response": lambda of: operation(of, VERIFY)["responses"].update({"418": {"description": "Teapot."}}),
    "larger numbers at least": lambda of: schema(of, "MinorUnits").update(minimum=1),
    "shorter pages": lambda of: schema(of, "Payments")["properties"]["payments"].update(maxItems=10),
    "other words": lambda of: (
        schema(of, "Id").update(description="A number."),
        event(of, "payment.paid").pop("title"),
    ),
    "a schema of another name": lambda of: (
        of["api"]["components"]["schemas"].update(Receipt=schema(of, "Verified")),
        operation(of, VERIFY)["responses"]["200"]["content"]["application/json"].update(
            schema={"allOf": [{"$ref": "#/components/schemas/Receipt"}]}
        ),
    ),
}
ADDS: dict[str, tuple[Edit, str]] = {
    "an event": (
        lambda of: of["events"].update({"payment.new.schema.json": event(of, "payment.paid")}),
        "payment.new: the event is new",
    ),
    "a field": (
        lambda of: defined(of, "payment")["properties"].update(note={"type": "string"}),
        "payment.paid payment.note: is new",
    ),
    "a reason": (
        lambda of: event(of, "payment.review")["properties"]["review"]["properties"]["reason"]["enum"].append("odd"),
        "payment.review review.reason: may now be odd",
    ),
    "a state of a dispute": (
        lambda of: defined(of, "dispute")["properties"]["state"]["enum"].append("paused"),
        "payment.dispute_changed dispute.state: may now be paused",
    ),
}


def versioned(edit: Edit, api: str, of_events: str) -> Edit:
    """The edit, with these versions."""

    def both(of: dict[str, Any]) -> None:
        edit(of)
        of["api"]["info"]["version"] = api
        defined(of, "schema_version")["const"] = of_events

    return both


# --- seeded mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BREAKS_CALLERS)
def test_what_breaks_a_caller_is_found(name: str) -> None:
    edit, said = BREAKS_CALLERS[name]
    (problem,) = [each for each in after(edit) if "callers" in each]
    assert said in problem
    assert API in problem


@pytest.mark.parametrize("name", BREAKS_CONSUMERS)
def test_what_breaks_a_consumer_is_found(name: str) -> None:
    edit, said = BREAKS_CONSUMERS[name]
    (problem,) = after(edit)
    assert said in problem
    assert EVENTS in problem


@pytest.mark.parametrize("name", COMPATIBLE)
def test_what_breaks_nobody_passes(name: str) -> None:
    assert after(COMPATIBLE[name]) == []


@pytest.mark.parametrize("name", ADDS)
def test_what_is_added_to_events_takes_a_second_number(name: str) -> None:
    edit, said = ADDS[name]
    (problem,) = after(edit)
    assert said in problem
    assert problem.endswith("events.py to 1.2.")


@pytest.mark.parametrize(
    ("edit", "enough", "not_enough"),
    [
        pytest.param(BREAKS_CALLERS["a route is gone"][0], ("2.0.0", "1.1"), ("1.1.0", "2.0"), id="the API"),
        pytest.param(BREAKS_CONSUMERS["an event is gone"][0], ("1.0.0", "2.0"), ("2.0.0", "1.2"), id="the events"),
        pytest.param(ADDS["a field"][0], ("1.0.0", "1.2"), ("2.0.0", "1.1"), id="an addition to the events"),
    ],
)
def test_the_version_that_is_named_is_enough_and_no_other(
    edit: Edit, enough: tuple[str, str], not_enough: tuple[str, str]
) -> None:
    assert after(versioned(edit, *enough)) == []
    assert len(after(versioned(edit, *not_enough))) == 1


def test_what_it_cannot_compare_stops_it() -> None:
    with pytest.raises(ValueError, match="compare patternProperties"):
        after(lambda of: schema(of, "Order").update(patternProperties={"^x-": {}}))
    with pytest.raises(TypeError, match="compare schemas of additional properties"):
        after(lambda of: schema(of, "Order").update(additionalProperties={"type": "string"}))


# --- the committed baseline -----------------------------------------------------------------------------------------


def test_the_contracts_keep_what_the_last_release_promised() -> None:
    assert check(DOCS) == []


def test_the_last_release_has_its_contracts_here() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = next(line for line in changelog.splitlines() if line.startswith("## [") and "Unreleased" not in line)
    assert released.startswith(f"## [{latest(DOCS).name}]")
    assert Contract.read(latest(DOCS)).version == latest(DOCS).name


def test_the_latest_release_counts_and_not_the_first_in_the_alphabet(tmp_path: Path) -> None:
    for version in ("1.2.0", "1.10.0", "1.9.3"):
        (tmp_path / "contracts" / version).mkdir(parents=True)
    assert latest(tmp_path).name == "1.10.0"


def test_make_check_fails_on_a_breaking_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DOCS / "contracts", tmp_path / "docs/contracts")
    shutil.copytree(DOCS / "events", tmp_path / "docs/events")
    shutil.copy(DOCS / "openapi.yaml", tmp_path / "docs/openapi.yaml")
    monkeypatch.setattr(program, "PROJECT", tmp_path)
    written = sorted((tmp_path / "docs/events").rglob("*.json"))
    monkeypatch.setattr(program, "contracts", lambda: {path: path.read_text() for path in written})
    assert program.main(["--check"]) == 0
    failed = tmp_path / "docs/events/payment.failed.schema.json"
    failed.write_text(json.dumps({**json.loads(failed.read_text()), "required": []}))
    assert program.main(["--check"]) == 1
    assert "payment.failed failure: may now be absent" in capsys.readouterr().err


# --- any two schemas ------------------------------------------------------------------------------------------------

_PLAIN: list[dict[str, Any]] = [
    {},
    {"type": "string"},
    {"type": "string", "maxLength": 1},
    {"type": "string", "pattern": "^a"},
    {"type": "string", "pattern": "^a", "maxLength": 1},
    {"enum": ["a", "b"]},
    {"enum": ["a", None, 1]},
    {"const": "a"},
    {"type": "integer"},
    {"type": "integer", "minimum": 1},
    {"type": "integer", "maximum": 1},
    {"type": "number", "minimum": 1},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"type": ["string", "null"], "pattern": "^a"},
    {"anyOf": [{"const": "b"}, {"type": "integer"}]},
    {"allOf": [{"type": "string"}, {"enum": ["a", 1]}]},
    {"allOf": [{"type": "number"}, {"type": "integer", "maximum": 1}]},
]
_INNER = [_PLAIN[1], _PLAIN[2], _PLAIN[6], _PLAIN[13]]
SCHEMAS: list[dict[str, Any]] = [
    *_PLAIN,
    {"type": "array"},
    *({"type": "array", "items": its, **more} for its in _INNER for more in ({}, {"maxItems": 1})),
    *(
        {"type": "object", "properties": {"x": its}, **required, **others}
        for its in _INNER
        for required in ({}, {"required": ["x"]})
        for others in ({}, {"additionalProperties": False})
    ),
    {"type": "object", "properties": {"x": {}, "y": {"type": "string"}}, "required": ["x", "y"]},
    {"type": "object"},
    {"allOf": [{"type": "object", "properties": {"x": {"type": "string"}}}], "properties": {"x": {"const": "a"}}},
]
_FIELDS: list[Any] = [None, "", "a", "ab", "b", 0, 1, 2, 1.5, True]
VALUES: list[Any] = [
    *_FIELDS,
    *([field] for field in _FIELDS),
    ["a", "b"],
    {},
    {"y": "a"},
    *({"x": field} for field in _FIELDS),
    *({"x": field, "y": "b"} for field in _FIELDS),
]


def _tolerant(part: Any) -> Any:
    """The schema as a reader takes it that ignores unknown fields."""
    return {name: its for name, its in part.items() if name != "additionalProperties"}


def _valid(schemas: list[dict[str, Any]]) -> list[set[int]]:
    """The values that each schema takes."""
    checks = [Draft202012Validator(its) for its in schemas]
    return [{place for place, value in enumerate(VALUES) if check.is_valid(value)} for check in checks]


def test_whatever_was_accepted_still_is_if_no_change_breaks_a_caller() -> None:
    valid = _valid(SCHEMAS)
    passed = 0
    for old, before in zip(SCHEMAS, valid, strict=True):
        for new, now in zip(SCHEMAS, valid, strict=True):
            if not any(change.breaks for change in received(old, new)):
                assert before <= now, (old, new)
                passed += 1
    assert passed > 2 * len(SCHEMAS)


def test_whatever_is_sent_could_be_read_before_if_no_change_breaks_a_reader() -> None:
    valid, readable = _valid(SCHEMAS), _valid([_tolerant(its) for its in SCHEMAS])
    passed = 0
    for old, before in zip(SCHEMAS, readable, strict=True):
        for new, now in zip(SCHEMAS, valid, strict=True):
            if not any(change.breaks for change in sent(old, new, frozenset())):
                assert now <= before, (old, new)
                passed += 1
    assert passed > len(SCHEMAS)


@pytest.mark.parametrize("of", SCHEMAS, ids=json.dumps)
def test_a_schema_does_not_differ_from_itself(of: dict[str, Any]) -> None:
    assert [*received(of, of), *sent(of, of, frozenset())] == []
