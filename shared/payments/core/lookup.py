"""Look-up: what a query of `GET /api/payments/` asks for, and the cursor that leads from one page to the next."""

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from payments.core.errors import FieldError, InvalidRequest
from payments.core.model import MAX_ID, Application, Record

PAGE_SIZE: Final = 25
"""Payments on one page: one BatchGetItem, and a response of about 10 KB."""


class Role(StrEnum):
    """As what the caller takes part in a payment."""

    CLIENT = "client"
    FREELANCER = "freelancer"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payment stands in its client's or freelancer's list. Neither part ever changes."""

    created_at: str
    """As in the record. Orders of the same second are told apart by their ids."""
    order_id: str


@dataclass(frozen=True, slots=True)
class OfApplication:
    """The orders of one of the caller's applications."""

    application_id: int


@dataclass(frozen=True, slots=True)
class OfCaller:
    """One page of the caller's own payments."""

    role: Role
    after: Place | None
    """The last payment of the page before; None for the first page."""


_PARAMETERS: Final = ("application_id", "role", "cursor")
# Canonical, so that one application has one address. 2^53-1 has 16 digits; a longer text is never converted.
_APPLICATION_ID: Final = re.compile(r"\A[1-9][0-9]{0,15}\Z")
_PLAIN_NAME: Final = re.compile(r"\A[A-Za-z0-9_.-]{1,64}\Z")
_APPLICATION_ID_FORM: Final = f"must be an integer from 1 to {MAX_ID}"
_ROLE_FORM: Final = f"must be {' or '.join(Role)}"
_CURSOR_FORM: Final = "is not a cursor of this list: use next_cursor of the previous page, or start without one"


def read_query(parameters: Mapping[str, Sequence[str]], user_id: int) -> OfApplication | OfCaller:
    """Read what a query asks for.

    Args:
        parameters: every value of every parameter, as sent.
        user_id: the caller, from the token.

    Raises:
        InvalidRequest: exactly one of `application_id` and `role` must be given, each parameter once, and no others;
            every wrong parameter is named.
    """
    wrong = [
        FieldError(name if _PLAIN_NAME.match(name) else "(unprintable)", "is not a known parameter", ours=False)
        for name in parameters
        if name not in _PARAMETERS
    ]
    wrong += [FieldError(name, "must be given once") for name in _PARAMETERS if len(parameters.get(name, ())) > 1]
    application_id, role, cursor = (next(iter(parameters.get(name, ())), None) for name in _PARAMETERS)
    if application_id is None and role is None:
        wrong += [
            FieldError("application_id", "is required, unless role is given"),
            FieldError("role", "is required, unless application_id is given"),
        ]
    elif application_id is not None and role is not None:
        wrong.append(FieldError("role", "cannot be combined with application_id"))
    elif application_id is not None and cursor is not None:
        wrong.append(FieldError("cursor", "is only for lists by role"))
    if wrong:
        raise InvalidRequest(wrong)
    if application_id is not None:
        return OfApplication(_application_id(application_id))
    try:
        known = Role(role or "")
    except ValueError:
        raise InvalidRequest([FieldError("role", _ROLE_FORM)]) from None
    return OfCaller(known, None if cursor is None else read_cursor(cursor, known, user_id))


def _application_id(text: str) -> int:
    if not _APPLICATION_ID.match(text) or (number := int(text)) > MAX_ID:
        raise InvalidRequest([FieldError("application_id", _APPLICATION_ID_FORM)])
    return number


# --- the cursor -----------------------------------------------------------------------------------------------------

# A cursor is not signed, because it gives access to nothing: the token decides whose list is read, and the cursor only
# where in it to go on. A made-up position is harmless in one's own list. The user and the role are part of it so that a
# cursor used for another list is an error instead of a page from the middle.
_VERSION: Final = "1"
# Far more than the longest one has. What is longer is not decoded.
_MAX_CURSOR_CHARS: Final = 200
_BASE64URL: Final = re.compile(r"\A[A-Za-z0-9_-]+\Z")
# `[0-9]`, because `\d` also matches the digits of other scripts.
_CURSOR: Final = re.compile(
    rf"\A{_VERSION} (?P<role>{'|'.join(Role)}) (?P<user>[1-9][0-9]{{0,15}}) "
    r"(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z) (?P<order>order_[A-Za-z0-9]{14})\Z"
)


def cursor_after(place: Place, role: Role, user_id: int) -> str:
    """Return the cursor of the page that begins after this payment, for this user and role only."""
    text = f"{_VERSION} {role} {user_id} {place.created_at} {place.order_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, role: Role, user_id: int) -> Place:
    """Return the place after which a page begins.

    Raises:
        InvalidRequest: it is malformed, or belongs to another user or role. The response does not say which.
    """
    found = _CURSOR.match(_decoded(cursor))
    if found is not None and (found["role"], found["user"]) == (role.value, str(user_id)):
        place = Place(found["at"], found["order"])
        # Base64 has several spellings of one text; only ours counts.
        if cursor_after(place, role, user_id) == cursor:
            return place
    raise InvalidRequest([FieldError("cursor", _CURSOR_FORM)])


def _decoded(cursor: str) -> str:
    """Return the text of a cursor, or an empty one if it has none."""
    if len(cursor) > _MAX_CURSOR_CHARS or not _BASE64URL.match(cursor):
        return ""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""


# --- what is found --------------------------------------------------------------------------------------------------


def listed(places: Iterable[Place], records: Mapping[str, Record], role: Role, user_id: int) -> list[Record]:
    """Return the records of a page in its order.

    A record that is not there is left out: the index follows the table with a delay. So is one in which the caller does
    not have the role, although the index has only those in which they do.
    """
    found = (records.get(place.order_id) for place in places)
    return [record for record in found if record is not None and _party(record, role) == user_id]


def _party(record: Record, role: Role) -> int | None:
    if record.order is None:
        return None
    return record.order.client_id if role is Role.CLIENT else record.order.freelancer_id


def split(application: Application, records: Mapping[str, Record]) -> tuple[Record | None, Collection[Record]]:
    """Return the record of an application's current order, and those of its earlier ones, newest first.

    An order that has no record of ours is left out.
    """
    ours = {key: record for key, record in records.items() if record.order is not None}
    # Of orders created in the same second, the one that was added last comes first.
    others = [ours[key] for key in reversed(application.orders) if key != application.current and key in ours]
    earlier = sorted(others, key=lambda record: record.created_at, reverse=True)
    return ours.get(application.current), earlier
