"""Lists: parameters that say more than they may, cursors that nobody was given, applications of others."""

import base64
from typing import Any, Final

from payments.core.lookup import Place, Role, cursor_after
from sandbox import events
from tests.attacks.family import OTHER_ORDER_ID, STRANGERS_ORDER_ID, Event, Family, with_headers
from tests.attacks.requests import odd_ids

_LIST: Final = events.listing(role="client")
_APPLICATION: Final = events.listing(application_id="12")
PLACE: Final = Place("2026-03-01T09:30:00Z", events.ORDER_ID)
_CURSOR: Final = cursor_after(PLACE, Role.CLIENT, events.CLIENT)
_WITH_CURSOR: Final = events.listing(role="client", cursor=_CURSOR)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def said(role: object = "client", user: object = events.CLIENT, at: str = PLACE.created_at, order: str = "") -> str:
    """What a cursor says, with parts of it changed."""
    return f"1 {role} {user} {at} {order or PLACE.order_id}"


def with_query(**values: Any) -> Event:
    """The list with these parameters, each a list of values, of whatever type."""
    last = {name: several[-1] for name, several in values.items() if isinstance(several, list) and several}
    return {**_LIST, "queryStringParameters": last, "multiValueQueryStringParameters": values}


def _queries() -> Family:
    attacks = {
        "nothing": events.listing(),
        "both": events.listing(role="client", application_id="12"),
        "a cursor alone": events.listing(cursor=_CURSOR),
        "a cursor of an application": events.listing(application_id="12", cursor=_CURSOR),
        "the role twice": with_query(role=["client", "client"]),
        "another role behind ours": with_query(role=["client", "freelancer"]),
        "another role before ours": with_query(role=["freelancer", "client"]),
        "two applications": with_query(application_id=["12", "13"]),
        "two cursors": with_query(role=["client"], cursor=[_CURSOR, _CURSOR]),
        "a thousand roles": with_query(role=["client"] * 1000),
        "a role that is no text": with_query(role=[{"role": "client"}]),
        "a role that is null": with_query(role=[None]),
        "a second parameter that is said only once over": {
            **with_query(role=["client"]),
            "queryStringParameters": {"role": "client", "client_id": "43"},
        },
        "a thousand parameters": with_query(role=["client"], **{f"p{number}": ["1"] for number in range(1000)}),
    }
    for name in ("client_id", "freelancer_id", "user_id", "limit", "page", "order_id", "ROLE", "role[]", "role ", ""):
        attacks[f"{name!r} beside the role"] = with_query(role=["client"], **{name: [str(events.SOMEBODY_ELSE)]})
    for role in ("", "Client", "CLIENT", "client ", " client", "admin", "*", "client,freelancer", "cl\u0456ent", "1"):
        attacks[f"role {role!a}"] = events.listing(role=role)
    for number in ("", "0", "-12", "+12", "12.0", "1.2e1", "012", " 12", "12 ", "12\n", "0xc", "1_2", "\u0661\u0662"):
        attacks[f"application {number!a}"] = events.listing(application_id=number)
    for number in (
        "9007199254740992",
        "9" * 20,
        "9" * 5000,
        "12#13",
        "12;",
        "12'--",
        "null",
        "NaN",
        "[12]",
        '{"S":"x"}',
    ):
        attacks[f"application {number[:20]!a}"] = events.listing(application_id=number)
    return Family(name="query of a list", attacks=attacks, statuses=frozenset({400}), genuine=_LIST, control=_LIST)


def _cursors() -> Family:
    texts = {
        "another user's": said(user=events.SOMEBODY_ELSE),
        "the freelancer's": said("freelancer", events.FREELANCER),
        "of another role": said("freelancer"),
        "of a user whose number begins like ours": said(user=420),
        "of our number with a zero before it": said(user="042"),
        "of our number and a sign": said(user="+42"),
        "of our number in other digits": said(user="\u0664\u0662"),
        "of a role that there is not": said("admin"),
        "of another version": said().replace("1 ", "2 ", 1),
        "without a version": said()[2:],
        "with more behind it": f"{said()} x",
        "with a line feed behind it": f"{said()}\n",
        "at no time": said(at="now"),
        "at an empty time": said(at=""),
        "at a time of another form": said(at="2026-03-01 09:30:00"),
        "at a time in other digits": said(at="\u0662026-03-01T09:30:00Z"),
        "before another user's order, by name": said(user=events.SOMEBODY_ELSE, order=STRANGERS_ORDER_ID),
        "as JSON": '{"pk":{"S":"order#x"},"client_id":{"N":"43"}}',
        "a key of the table": f"order#{events.ORDER_ID}",
        "a lone surrogate": said(order="\ud800"),
    }
    attacks = {name: events.listing(role="client", cursor=encoded(text)) for name, text in texts.items()}
    for name, text in odd_ids(events.ORDER_ID).items():
        attacks[f"at {name}"] = events.listing(role="client", cursor=encoded(said(order=text or " ")))
    spelt = {
        "empty": "",
        "padded": f"{_CURSOR}=",
        "cut": _CURSOR[:-1],
        "a character more": f"{_CURSOR}A",
        "a blank behind": f"{_CURSOR} ",
        "a line feed within": f"{_CURSOR[:9]}\n{_CURSOR[9:]}",
        "of base64 with a plus": f"+{_CURSOR[1:]}",
        "in small letters": _CURSOR.lower(),
        "in plain text": said(),
        "a dot": ".",
        "one letter": "A",
        "a null byte": "\u0000",
        "a lone surrogate itself": "\ud800",
        "a megabyte": "A" * 1_000_000,
        "a megabyte of padding": "=" * 1_000_000,
        "ours, a hundred times": _CURSOR * 100,
        "an offset": "25",
        "a number": "-1",
    }
    attacks |= {name: events.listing(role="client", cursor=text) for name, text in spelt.items()}
    attacks["ours in another user's hands"] = with_headers(
        _WITH_CURSOR, authorization=f"Bearer {events.token(events.SOMEBODY_ELSE)}"
    )
    attacks["ours for the other role"] = events.listing(role="freelancer", cursor=_CURSOR)
    return Family(name="cursor", attacks=attacks, statuses=frozenset({400}), genuine=_WITH_CURSOR, control=_WITH_CURSOR)


def _applications() -> Family:
    # Application 13 is the client's alone; 12 is the stranger's as well, another one.
    attacks = {
        f"application {number} asked for by user {user}": events.listing(user_id=user, application_id=number)
        for user, number in (
            (events.SOMEBODY_ELSE, "13"),
            (events.FREELANCER, "12"),
            (events.FREELANCER, "13"),
            (1, "12"),
            (4, "12"),
            (4, "213"),
            (421, "2"),
            (420, "13"),
            (2**53 - 1, "12"),
        )
    }
    attacks["an application that nobody has"] = events.listing(application_id="9007199254740991")
    attacks["the job in place of the application"] = events.listing(application_id="11")
    return Family(
        name="somebody else's application",
        attacks=attacks,
        statuses=frozenset({404}),
        genuine=_APPLICATION,
        control=_APPLICATION,
        reaches_table=True,
    )


def _methods() -> Family:
    attacks = {
        f"{method} on the list": {**_LIST, "httpMethod": method}
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "GET ", "GET\r\n", "QUERY")
    }
    attacks["POST on the list with X-HTTP-Method-Override"] = with_headers(
        {**_LIST, "httpMethod": "POST"}, x_http_method_override="GET"
    )
    return Family(name="method of the list", attacks=attacks, statuses=frozenset({405}), genuine=_LIST, control=_LIST)


def families() -> list[Family]:
    """Of queries, cursors, applications and methods."""
    assert OTHER_ORDER_ID not in (events.ORDER_ID, STRANGERS_ORDER_ID)
    return [_queries(), _cursors(), _applications(), _methods()]
