"""An operator's command to read Razorpay's settlement report of a day, one page per invocation."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, get_args

from payments.adapters.log import RequestLog
from payments.core.errors import GatewayThrottled
from payments.core.settlements import (
    LOOKBACK_S,
    MOST_ROWS,
    ReportList,
    report_day,
    seconds_of,
    shown_settlement,
    shown_transaction,
)
from payments.wiring import aws
from payments.wiring.lanes import fields_of, refuse
from payments.wiring.reconcile import Connect, Dependencies
from payments.wiring.watch import pause

_FIRST, _SECOND = get_args(ReportList)


def settlements(
    asked: object,
    connect: Connect,
    remaining_ms: Callable[[], int],  # noqa: ARG001 - as a lane's
    log: RequestLog,
) -> dict[str, Any]:
    """Return a page of the day's settlements or, after those, of its transactions.

    A page has at most 500 rows of some 600 bytes, far below the 6 MB of a response. It reads and changes nothing of
    ours. `next` is the input for the next page, or null after the last one, which is empty: a page that Razorpay makes
    shorter than we ask for is not taken for the last.
    """
    day, listed, skip = _page(asked, log)
    service = connect()
    try:
        items = _items(service, day, listed, skip)
    except GatewayThrottled:
        pause(service.table, log)
        raise
    log.note(looked_at=len(items))
    following: dict[str, Any] | None = None
    if items:
        following = {"day": day.isoformat(), "list": listed, "skip": skip + len(items)}
    elif listed == _FIRST:
        following = {"day": day.isoformat(), "list": _SECOND, "skip": 0}
    return {
        "day": day.isoformat(),
        "list": listed,
        "items": items,
        "next": None if following is None else {"settlements": following},
    }


def _page(asked: object, log: RequestLog) -> tuple[date, ReportList, int]:
    """Return which day, list and place in the list are asked for.

    Raises:
        MeaninglessInput: there is no such page.
    """
    fields: Mapping[str, Any] = fields_of(asked, frozenset({"day", "list", "skip"}), log)
    listed, skip = fields.get("list", _FIRST), fields.get("skip", 0)
    try:
        day = report_day(fields.get("day"), aws.now())
    except ValueError as error:
        raise refuse(str(error), log) from None
    if listed not in (_FIRST, _SECOND) or type(skip) is not int or not 0 <= skip <= MOST_ROWS:
        raise refuse('settlements takes {"day": "YYYY-MM-DD"}, or the last "next"', log)
    return day, listed, skip


def _items(service: Dependencies, day: date, listed: ReportList, skip: int) -> list[dict[str, Any]]:
    if listed == _FIRST:
        begin, end = seconds_of(day)
        page = service.gateway.settlements(begin - LOOKBACK_S, end, skip)
        return [shown_settlement(item) for item in page]
    origin = service.reconciler.origin
    return [shown_transaction(item, origin) for item in service.gateway.settled(day, skip)]
