"""The JSON Schemas of the events (docs/events): one for each detail type, and what they share."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import yaml
from pydantic import Field

from payments.core.answers import CurrencyCode, MinorUnits, ShownStatus
from payments.core.events import EventDetail
from payments.core.model import DisputeId, EventType, OrderId, PaymentId, PlatformId, RefundId, Status
from tools.contracts.schemas import (
    Schema,
    in_order,
    promised,
    reference,
    schema_of,
    with_references,
    with_short_nulls,
    without_null,
)

WORDS: Final = Path(__file__).with_name("events.yaml")
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SHARED: Final = "definitions.schema.json"
"""The file of what the schemas share."""

# Guarantees to consumers. The event models do not check them, because a stored event must never fail to be published,
# and every constraint makes a function's start slower. The tests check every recorded event against them.
_Word = Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,64}$")] | None
_Sum = Annotated[int, Field(ge=1)]
_Instant = Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
_PROMISED: Final[Mapping[str, Any]] = {
    "event_id": Annotated[str, Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")],
    "version": Annotated[int, Field(ge=2)],
    "occurred_at": _Instant,
}
_PARTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "payment": {
        "payment_id": PlatformId,
        "order_id": OrderId,
        "razorpay_payment_id": PaymentId | None,
        "job_id": PlatformId,
        "application_id": PlatformId,
        "client_id": PlatformId,
        "freelancer_id": PlatformId,
        "amount": _Sum,
        "currency": CurrencyCode,
        "status": ShownStatus,
        "amount_refunded": MinorUnits,
        "amount_disputed": MinorUnits,
        "method": _Word,
    },
    "refund": {"id": RefundId, "amount": _Sum},
    "failure": {"code": _Word, "reason": _Word},
    "review": {"state": Literal["open", "resolved"]},
    "dispute": {
        "id": DisputeId,
        "phase": _Word,
        "amount": MinorUnits,
        "amount_deducted": MinorUnits,
        "currency": CurrencyCode,
        "reason_code": _Word,
        "respond_by": _Instant | None,
    },
}
_ENVELOPE: Final = [name for name in EventDetail.model_fields if name not in _PARTS]


def documents() -> dict[str, str]:
    """The text of each file in docs/events, by name.

    Raises:
        ValueError: events.yaml does not have exactly the existing events.
    """
    words = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    types = get_args(EventType)
    if words["events"].keys() != set(types):
        raise ValueError(f"{WORDS.name} must describe {', '.join(types)}, and nothing else")
    detail = promised(schema_of(EventDetail), _PROMISED)["properties"]
    return {
        SHARED: text(_definitions(detail, words)),
        **{f"{name}.schema.json": text(_event(detail, name, words["events"][name])) for name in types},
    }


def read(folder: Path) -> dict[str, Schema]:
    """The written schemas in a folder, by file name."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.schema.json")}


def text(schema: Schema) -> str:
    """A schema as it is written to its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _definitions(detail: Schema, words: dict[str, Any]) -> Schema:
    minor_units = {"description": words["minor_units"], **schema_of(MinorUnits)}
    payment = with_references(
        _part(detail, "payment"),
        {"#/$defs/minor_units": minor_units},
        reference,
    )
    return {
        "$schema": _DIALECT,
        "title": words["title"],
        "description": words["description"],
        "$defs": {
            **{name: _plain(detail[name]) for name in _ENVELOPE},
            "minor_units": minor_units,
            "payment": payment,
            "refund": _part(detail, "refund"),
            "dispute": _part(detail, "dispute"),
            "review_state": _plain(_part(detail, "review")["properties"]["state"]),
        },
    }


def _part(detail: Schema, name: str) -> Schema:
    """The schema of one key of a detail. If an event is not about it, the key is absent, never null."""
    schema = promised(without_null(detail[name]), _PARTS[name])
    return {**schema, "properties": {field: _plain(its) for field, its in schema["properties"].items()}}


def _plain(field: Schema) -> Schema:
    """A field in its shortest form. A constant or an enumeration needs no type."""
    short: Schema = with_short_nulls(field)
    needless = {"type"} if {"const", "enum"} & short.keys() else set()
    return in_order({name: value for name, value in short.items() if name not in needless})


def _event(detail: Schema, name: str, words: dict[str, Any]) -> Schema:
    """The schema of one detail type, with the payment's possible statuses and the parts it is about."""
    parts: list[str] = words.get("parts", [])
    return {
        "$schema": _DIALECT,
        "title": name,
        "description": words["means"],
        "type": "object",
        "additionalProperties": False,
        "required": [*_ENVELOPE, "payment", *parts],
        "properties": {
            **{field: {"$ref": f"{SHARED}#/$defs/{field}"} for field in _ENVELOPE},
            "payment": reference(f"{SHARED}#/$defs/payment", _narrowed(words)),
            **{part: _about(detail, part, words) for part in (*parts, *words.get("optional", []))},
        },
    }


def _narrowed(words: dict[str, Any]) -> Schema:
    if "statuses" not in words:
        return {}
    statuses = [Status(status).value for status in words["statuses"]]
    said = {"description": words["status"]} if "status" in words else {}
    status = {"const": statuses[0]} if len(statuses) == 1 else {"enum": statuses}
    # An event about a status is about one payment, or about the order as a whole.
    payment = {"type": "null" if words.get("whole_order") else "string"}
    return {"properties": {"razorpay_payment_id": payment, "status": {**said, **status}}}


def _about(detail: Schema, part: str, words: dict[str, Any]) -> Schema:
    if part in {"refund", "dispute"}:
        return {"$ref": f"{SHARED}#/$defs/{part}"}
    schema = _part(detail, part)
    if part == "review":
        reason = schema["properties"]["reason"]
        reasons: dict[str, str] = words["reasons"]
        if list(dict.fromkeys(word for key in reasons for word in key.split(", "))) != reason["enum"]:
            raise ValueError(f"{WORDS.name} must describe {', '.join(reason['enum'])}, in this order")
        said = " ".join(f"{reasons_of}: {meaning}" for reasons_of, meaning in reasons.items())
        schema["properties"] = {
            "reason": {"description": said, **reason},
            "state": {"$ref": f"{SHARED}#/$defs/review_state"},
        }
    return schema
