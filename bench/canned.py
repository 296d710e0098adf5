"""The requests that are measured, and what the functions hear while they serve them.

The record in the table is the one that the same build's create_order writes, so a build of any revision can be measured
with the same requests.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt

from bench.children import ChildFailed, run_program
from bench.subjects import Signer, Subject
from sandbox import events

CREATE_ORDER: Final = "/api/payments/create-order"
VERIFY: Final = "/api/payments/verify"
_NOT_YET_MADE: Final = "{}"


@dataclass(frozen=True, slots=True)
class Flow:
    """One request of one function, with everything the programs need to serve it again and again."""

    name: str
    subject: Subject
    event: Path
    canned: Path
    calls: Path
    """What it asks outside, in order, once it is warm."""
    outside_calls: int


def flows(subject: Subject, signer: Signer, record: Path | None, folder: Path) -> list[Flow]:
    """Everything that a function is asked for.

    Args:
        subject: the function.
        signer: of its callers' tokens, if it takes RS256.
        record: the record that create_order wrote; for create_order itself None.
        folder: where the files go.

    Raises:
        ChildFailed: the function does not serve a request.
    """
    folder.mkdir(parents=True, exist_ok=True)
    item = _NOT_YET_MADE if record is None else record.read_text(encoding="utf-8")
    made = []
    for name, event in requests_of(subject, signer).items():
        stem = f"{subject.case} {name}".replace(" ", "-").replace("(", "").replace(")", "")
        event_file, canned, calls = (folder / f"{stem}.{kind}.json" for kind in ("event", "canned", "calls"))
        event_file.write_text(json.dumps(event), encoding="utf-8")
        canned.write_text(json.dumps(answers(item, subject.secrets)), encoding="utf-8")
        environment = subject.environment(in_secrets=True) | {"BENCH_KEEP": str(calls)}
        run_program(
            "warm.py",
            ["function", *subject.arguments(), str(canned), str(event_file), "stub", "1"],
            environment,
        )
        outside = json.loads(calls.read_text(encoding="utf-8"))
        made.append(Flow(name, subject, event_file, canned, calls, len(outside)))
    return made


def record_of(create_order: Flow, folder: Path) -> Path:
    """The record that a build's create_order writes, as the answer to GetItem.

    Raises:
        ChildFailed: it writes none.
    """
    items = [
        json.loads(call["body"])["Item"]
        for call in json.loads(create_order.calls.read_text(encoding="utf-8"))
        if call["target"].endswith(".PutItem")
    ]
    puts = [item for item in items if item["pk"]["S"].startswith("order#")]
    if len(puts) != 1:
        raise ChildFailed(f"create_order wrote {len(puts)} records")
    file = folder / "record.json"
    file.write_text(json.dumps({"Item": puts[0]}), encoding="utf-8")
    return file


def requests_of(subject: Subject, signer: Signer) -> dict[str, dict[str, Any]]:
    """The events by the name of what they ask for."""
    match subject.name:
        case "create_order":
            return {"create-order": _signed(events.from_frontend(CREATE_ORDER, events.OFFER), subject, signer)}
        case "verify":
            verify = _signed(events.from_frontend(VERIFY, events.checkout()), subject, signer)
            read = _signed(events.reading(events.ORDER_ID), subject, signer)
            return {"verify": verify, "read": read}
        case "webhook":
            return {
                f"webhook {event}": events.from_razorpay(events.webhook_body(event))
                for event in ("payment.authorized", "payment.captured")
            }
        case "reconcile":
            return {"reconcile, nothing due": {"lane": "watch"}}
        case "outbox":
            return {"outbox, nothing due": {}}
    raise ValueError(subject.name)


def answers(record: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """What each call is answered with, as JSON; see `programs/stub.py`."""
    order = {
        "id": events.ORDER_ID,
        "entity": "order",
        "amount": events.AMOUNT_MINOR,
        "amount_paid": 0,
        "amount_due": events.AMOUNT_MINOR,
        "currency": "INR",
        "receipt": "local-1",
        "offer_id": None,
        "status": "created",
        "attempts": 0,
        "notes": {"service": "payment-service"},
        "created_at": events.ORDERED_AT,
    }
    plain = {
        "GetItem": record,
        "PutItem": "{}",
        "UpdateItem": "{}",
        "nothing": "{}",
        "counter": json.dumps({"Attributes": {"last_taken": {"N": "10"}, "installation": {"S": "a0000001"}}}),
        "Query": json.dumps({"Items": [], "Count": 0, "ScannedCount": 0}),
        "BatchGetItem": json.dumps({"Responses": {}, "UnprocessedKeys": {}}),
        "PutEvents": json.dumps(
            {"FailedEntryCount": 0, "Entries": [{"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}]}
        ),
        "GetSecretValue": json.dumps({"Name": "bench", "SecretString": json.dumps(dict(secrets))}),
        "order": json.dumps(order),
        "payments": json.dumps({"entity": "collection", "count": 0, "items": []}),
    }
    assert all(json.loads(answer) is not None for answer in plain.values())
    return plain


def rs256_token(signer: Signer, user_id: int) -> str:
    """An access token as `sandbox.development.token` makes it, signed with RS256."""
    now = datetime.now(UTC)
    claims = {
        "token_type": "access",
        "user_id": str(user_id),
        "iat": now,
        "exp": now + timedelta(days=1),
        "jti": f"local-{user_id}",
    }
    return jwt.encode(claims, signer.private, algorithm="RS256")


def _signed(event: dict[str, Any], subject: Subject, signer: Signer) -> dict[str, Any]:
    if not subject.asymmetric:
        return event
    bearer = f"Bearer {rs256_token(signer, events.CLIENT)}"
    headers = {name: bearer if name.lower() == "authorization" else value for name, value in event["headers"].items()}
    return {**event, "headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
