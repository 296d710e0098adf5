"""The files in `events/` and the example settings: their form, and each event's effect."""

import base64
import json
import re
from pathlib import Path

import jwt
import pytest

from payments.core.signature import webhook_signature
from sandbox import development, events
from sandbox.cloud.gateways import STAND_IN, gateway_of
from tests.handlers.service import EVENTS, ROOT, Service, committed

# Sent in this order; each with its response and the resulting status.
STORY = [
    ("create-order-no-token", 401, None),
    ("create-order-another-client", 403, None),
    ("create-order-bad-fields", 400, None),
    ("create-order", 201, "created"),
    ("create-order-string-amount", 200, "created"),
    ("verify-wrong-signature", 400, "created"),
    ("verify-unknown-order", 404, "created"),
    ("webhook-forged", 400, "created"),
    ("webhook-payment-failed", 200, "failed"),
    ("webhook-payment-authorized", 200, "authorized"),
    ("webhook-previous-secret", 200, "authorized"),
    ("verify", 200, "paid"),
    ("webhook-payment-captured", 200, "paid"),
    ("webhook-payment-captured-base64", 200, "paid"),
    ("webhook-order-paid", 200, "paid"),
    ("webhook-refund-created", 200, "paid"),
    ("webhook-refund-processed-part", 200, "paid"),
    ("webhook-refund-processed-full", 200, "refunded"),
    ("refund", 409, "refunded"),
    ("webhook-ignored", 200, "refunded"),
    ("webhook-unusable", 200, "refunded"),
    ("get", 200, "refunded"),
    ("get-trailing-slash", 200, "refunded"),
    ("list", 200, "refunded"),
    ("list-as-freelancer", 200, "refunded"),
    ("list-of-application", 200, "refunded"),
    ("list-of-another-clients-application", 404, "refunded"),
    ("list-without-parameters", 400, "refunded"),
]


def test_the_committed_events_are_what_the_generator_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in EVENTS.values()} == events.files()


def test_the_generator_writes_its_files_and_removes_stale_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "events"
    monkeypatch.setattr(events, "FOLDER", folder)
    events.main()
    for stale in (folder, folder / "schedules"):
        (stale / "stale.json").write_text("{}")
    events.main()
    assert sorted(path.stem for path in folder.glob("*.json")) == sorted(EVENTS)
    assert {path.name for path in (folder / "schedules").iterdir()} == {
        path.name for path in (ROOT / "events/schedules").iterdir()
    }
    assert f"{len(EVENTS)} events" in capsys.readouterr().out


def test_the_events_tell_one_story(service: Service) -> None:
    assert sorted(name for name, _, _ in STORY) == sorted(EVENTS)
    told = []
    for name, _, _ in STORY:
        answer = service.replay(name)
        record = service.cloud.items().get(f"order#{events.ORDER_ID}")
        told.append((name, answer.status, record and record["status"]))
    assert told == STORY
    assert service.cloud.types() == ["payment.failed", "payment.paid", "payment.partially_refunded", "payment.refunded"]


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_answered_even_where_there_is_no_record(service: Service, name: str) -> None:
    expected = {told: status for told, status, _ in STORY} | {"create-order-string-amount": 201}
    expected |= {told: 404 for told in expected if told.startswith(("get", "verify", "list-of", "refund"))}
    assert service.replay(name).status == expected[name]


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_has_the_form_of_api_gateways_rest_proxy(name: str) -> None:
    event = committed(name)
    assert list(event) == [
        "resource",
        "path",
        "httpMethod",
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "pathParameters",
        "stageVariables",
        "requestContext",
        "body",
        "isBase64Encoded",
    ]
    assert event["multiValueHeaders"] == {name: [value] for name, value in event["headers"].items()}
    assert event["requestContext"]["resourcePath"] == event["resource"]


def test_the_tokens_are_valid_until_the_year_2099(service: Service) -> None:
    token = events.token(events.CLIENT)
    claims = jwt.decode(token, development.JWT_SECRET, algorithms=["HS256"])
    assert claims["exp"] > 4_070_908_800  # 2099-01-01
    assert f"Bearer {token}" == committed("create-order")["headers"]["Authorization"]
    assert service.replay("create-order").status == 201


def test_one_body_does_not_survive_being_parsed_and_written_again() -> None:
    body = base64.b64decode(committed("webhook-payment-captured-base64")["body"])
    again = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert again != body
    unescaped = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    assert unescaped != body
    secret = development.RAZORPAY_WEBHOOK_SECRET
    assert webhook_signature(again, secret) != webhook_signature(body, secret) != webhook_signature(unescaped, secret)


def test_the_bodies_hold_the_personal_data_that_must_go_nowhere() -> None:
    bodies = [
        base64.b64decode(event["body"]).decode() if event["isBase64Encoded"] else event["body"] or ""
        for event in map(committed, EVENTS)
    ]
    for word in events.PERSONAL:
        if word != events.CUSTOMER.name:
            assert any(word in body for body in bodies), word


# --- the example settings ---


def test_the_example_of_settings_names_everything_that_the_code_reads() -> None:
    documented = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    sources = [*(ROOT / "shared/payments/adapters").glob("*.py"), *(ROOT / "shared/payments/wiring").glob("*.py")]
    code = "\n".join(source.read_text() for source in sources)
    # Nobody sets Lambda's own variables.
    asked = r'(?:required|secret|get|given|_shared_key|_pem)\(\s*"(?!AWS_LAMBDA_)([A-Z][A-Z0-9_]+)"'
    assert set(re.findall(asked, code)) == documented


def test_the_example_of_settings_leaves_make_run_with_its_stand_in() -> None:
    assert gateway_of(ROOT / ".env.example") is STAND_IN
