"""The measured requests, and the responses that the functions get while serving them.

The record in the table is written by the same build's create_order, so builds of all revisions can be measured with the
same requests.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.children import ChildFailed, memory_mib
from bench.subjects import Subject, subjects
from sandbox import events
from tests.signers import claims, signer

CREATE_ORDER: Final = "/api/payments/create-order"
VERIFY: Final = "/api/payments/verify"


@dataclass(frozen=True, slots=True)
class Flow:
    """One request of one function, with everything the programs need to serve it repeatedly."""

    name: str
    subject: Subject
    event: Path
    canned: Path
    calls: list[dict[str, str]]
    """Its outside calls, in order, when warm."""

    @property
    def case(self) -> str:
        """Its name, such as `verify (RS256)`."""
        return f"{self.name} (RS256)" if self.subject.asymmetric else self.name

    def served(self, count: int) -> list[str]:
        """The arguments of `function.py` to serve it this many times."""
        return [*self.subject.arguments(), str(count), str(self.canned), str(self.event)]


def all_flows(built: Path, scratch: Path) -> list[Flow]:
    """Lets every function of a build serve each of its requests, and records its outside calls.

    Args:
        built: the output folder of `sam build`; it must not change any more.
        scratch: where the requests' files go.

    Raises:
        ChildFailed: a function fails to serve a request.
    """
    create_order, *others = subjects(built)
    ordering = flows(create_order, None, scratch)
    record = record_of(ordering[0], scratch)
    return [*ordering, *(flow for subject in others for flow in flows(subject, record, scratch))]


def flows(subject: Subject, record: Path | None, folder: Path) -> list[Flow]:
    """All requests of a function.

    Args:
        subject: the function.
        record: the record that create_order wrote; None for create_order itself.
        folder: where the files go.

    Raises:
        ChildFailed: the function fails to serve a request.
    """
    folder.mkdir(parents=True, exist_ok=True)
    item = "{}" if record is None else record.read_text(encoding="utf-8")
    made = []
    for name, event in requests_of(subject).items():
        stem = f"{subject.case} {name}".replace(" ", "-").replace("(", "").replace(")", "")
        event_file, canned, calls = (folder / f"{stem}.{kind}.json" for kind in ("event", "canned", "calls"))
        event_file.write_text(json.dumps(event), encoding="utf-8")
        canned.write_text(json.dumps(answers(item, subject.secrets)), encoding="utf-8")
        environment = subject.environment(in_secrets=True) | {"BENCH_KEEP": str(calls)}
        memory_mib("function.py", [*subject.arguments(), "2", str(canned), str(event_file)], environment)
        made.append(Flow(name, subject, event_file, canned, json.loads(calls.read_text(encoding="utf-8"))))
    return made


def record_of(create_order: Flow, folder: Path) -> Path:
    """The record that a build's create_order writes, as a GetItem response.

    Raises:
        ChildFailed: it writes none.
    """
    items = [json.loads(call["body"])["Item"] for call in create_order.calls if call["target"].endswith(".PutItem")]
    puts = [item for item in items if item["pk"]["S"].startswith("order#")]
    if len(puts) != 1:
        raise ChildFailed(f"create_order wrote {len(puts)} records")
    file = folder / "record.json"
    file.write_text(json.dumps({"Item": puts[0]}), encoding="utf-8")
    return file


def requests_of(subject: Subject) -> dict[str, dict[str, Any]]:
    """The events by request name."""
    match subject.name:
        case "create_order":
            return {"create-order": _signed(events.from_frontend(CREATE_ORDER, events.OFFER), subject)}
        case "verify":
            verify = _signed(events.from_frontend(VERIFY, events.checkout()), subject)
            read = _signed(events.reading(events.ORDER_ID), subject)
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
    """The response to each call, as JSON; see `programs/stub.py`."""
    paid = json.loads(events.webhook_body("order.paid"))["payload"]["order"]["entity"]
    refunded = json.loads(events.webhook_body("refund.processed", refund=events.FIRST_REFUND_ID))
    order = paid | {"status": "created", "amount_paid": 0, "amount_due": events.AMOUNT_MINOR, "attempts": 0}
    return {
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
        "refund": json.dumps(refunded["payload"]["refund"]["entity"]),
    }


def _signed(event: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """The request with an access token signed with RS256, if the function checks those."""
    if not subject.asymmetric:
        return event
    bearer = f"Bearer {signer('RS256').token(claims(user_id=str(events.CLIENT), exp=4_102_444_800))}"
    headers = {name: bearer if name.lower() == "authorization" else value for name, value in event["headers"].items()}
    return {**event, "headers": headers}
