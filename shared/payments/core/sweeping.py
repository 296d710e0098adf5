"""Read Razorpay's lists to their end, so that reconciliation finds everything that webhooks missed.

A pass reads the account's payments or refunds by creation time, always a fixed age behind the present. There are
several passes, because a payment changes after its creation and the lists lag by minutes. A pass's watermark says
how far it has read. It moves slice by slice, only forward, and only from the position that was read, so concurrent
runs do no harm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from payments.core.errors import StorageConflict
from payments.core.model import Model

type Entry = Mapping[str, Any]
"""One list entry, as parsed."""
type Listed = Literal["payments", "refunds", "orders", "disputes"]

_MINUTE_S, _HOUR_S, _DAY_S = 60, 60 * 60, 24 * 60 * 60

PAGE = 100
"""Entries per page. Razorpay returns no more ("Fetch all payments": count)."""
_OVERLAP = 10
"""Entries that a page shares with the one before, in case the list shifts while it is read."""
_DEEPEST = 5
"""Most pages read of one slice. A longer slice is split in time, because deep pages are slow and shift most."""
_EASY = 2
"""A slice of at most this many pages could have been twice as long."""
_FIRST_BACK_S = 8 * _DAY_S
"""Where a pass starts that has never run: as far back as the oldest pass over payments reads."""
_FIRST_SPAN_S = 5 * _MINUTE_S
EARLIEST, LATEST = 946_684_800, 4_765_046_400
"""The first and last second that Razorpay's lists accept, in 2000 and 2120 ("Fetch all payments": from, to)."""
_LONGEST_SPAN_S = 30 * _DAY_S

ASIDE_PARTITION = "aside"
"""The partition of the sparse index that holds entries set aside."""
_ASIDE_FIRST_S = 5 * _MINUTE_S


@dataclass(frozen=True, slots=True)
class Pass:
    """One recurring read of a list, at one age."""

    listed: Listed
    age_s: int
    every_s: int

    @property
    def name(self) -> str:
        """The name of its watermark, such as `payments-3600`."""
        return f"{self.listed}-{self.age_s}"


# A payment is captured within minutes or returned after three to five days. A refund reaches the bank within a week or
# two ("Late authorisation", "Refunds"). So each is read after that has happened, and several times before.
_AGES: tuple[tuple[int, int], ...] = (
    (15 * _MINUTE_S, 5 * _MINUTE_S),
    (_HOUR_S, 15 * _MINUTE_S),
    (6 * _HOUR_S, _HOUR_S),
    (_DAY_S, 3 * _HOUR_S),
    (4 * _DAY_S, _DAY_S),
    (8 * _DAY_S, _DAY_S),
)
# The order in which a run processes the passes. Refunds come first: they are few, and would have to wait whenever the
# payments take all of a run's time.
PASSES: tuple[Pass, ...] = (
    *(Pass("refunds", age, every) for age, every in _AGES),
    Pass("refunds", 15 * _DAY_S, _DAY_S),
    *(Pass("payments", age, every) for age, every in _AGES),
)

DISPUTES = Pass("disputes", 0, 3 * _HOUR_S)
"""The pass over the account's disputes, which reads the whole list each time (`read_through`)."""
_PAGES_A_RUN = 5
"""Most pages of the whole list that one run reads; the next run continues. At most 1,440 calls a day."""


class Watermark(Model):
    """How far a pass has read: everything created before `at`, plus `skip` entries of the slice that starts there."""

    at: int
    """Epoch seconds."""
    span: int
    """The length of the next slice, in seconds."""
    skip: int = 0
    """Used only within a single second, which cannot be split, and by a pass over a whole list."""


class Aside(Model):
    """A list entry that could not be read or applied. The sweep goes on, and the entry is retried with its own GET."""

    razorpay_id: str
    since: int
    failures: int
    due_at: Annotated[int, Field(alias="attention_at")]

    @classmethod
    def first(cls, razorpay_id: str, now: int) -> "Aside":
        """Set an entry aside for the first time."""
        return cls(razorpay_id=razorpay_id, since=now, failures=1, due_at=now + _ASIDE_FIRST_S)

    def again(self, now: int) -> "Aside":
        """Postpone the next retry after another failure: twice the wait each time, up to a day."""
        wait = min(_ASIDE_FIRST_S * 2 ** min(self.failures, 20), _DAY_S)
        return Aside(razorpay_id=self.razorpay_id, since=self.since, failures=self.failures + 1, due_at=now + wait)


class Pause(Model):
    """Until when to stop calling Razorpay, because it asked us to slow down."""

    until: int
    """Epoch seconds."""
    streak: int
    """How many pauses in a row this is."""

    @classmethod
    def after(cls, before: "Pause | None", now: int) -> "Pause":
        """Return the next pause: twice as long as the one before, if that one ended a short while ago."""
        in_a_row = before is not None and now - before.until < _PAUSE_FORGOTTEN_S
        streak = before.streak + 1 if before is not None and in_a_row else 1
        return cls(until=now + min(_PAUSE_S * 2 ** (streak - 1), _LONGEST_PAUSE_S), streak=streak)


# "API rate limits": back off exponentially. Observed: a Retry-After of two seconds, and longer throttling without one.
_PAUSE_S = 30
_LONGEST_PAUSE_S = 15 * _MINUTE_S
_PAUSE_FORGOTTEN_S = 30 * _MINUTE_S


class WatermarkStore(Protocol):
    """The store for watermarks."""

    def watermark(self, name: str) -> Watermark | None:
        """Return how far a pass has read, or None if it never has."""
        ...

    def move_watermark(self, name: str, seen: Watermark | None, to: Watermark) -> None:
        """Move the watermark if it is still where it was seen; raise StorageConflict otherwise."""
        ...


type ReadPage = Callable[[int, int, int], Sequence[Entry]]
"""Takes from, to (epoch seconds, both inclusive) and how many to skip. Returns at most `PAGE` entries, newest first."""
type Apply = Callable[[Sequence[Entry]], None]
"""Applies a page. It raises if the page must be read again: then none of it counts as done."""


def is_due(one: Pass, mark: Watermark | None, now: int) -> bool:
    """Return whether a pass has enough to read to be worth a call."""
    return mark is None or mark.skip > 0 or now - one.age_s - mark.at >= one.every_s


def sweep(  # noqa: PLR0913 - the watermark, how to read and apply a page, the range, and the time limit
    marks: WatermarkStore,
    name: str,
    read: ReadPage,
    apply: Apply,
    *,
    end: int,
    begin: int | None = None,
    is_over: Callable[[], bool],
) -> bool:
    """Read a list from where the last run stopped, slice by slice.

    Args:
        marks: the store for the watermark.
        name: the watermark's name.
        read: returns a page.
        apply: applies a page; it may see an entry more than once.
        end: how far to read, epoch seconds, exclusive.
        begin: where to start if there is no watermark; eight days before the end by default.
        is_over: returns whether the run is out of time.

    Returns:
        Whether everything up to the end has been read.

    Raises:
        Whatever `read` and `apply` raise; the watermark then stays where it was.
    """
    seen = marks.watermark(name)
    mark = seen or Watermark(at=end - _FIRST_BACK_S if begin is None else begin, span=_FIRST_SPAN_S)
    while mark.at < end:
        if is_over():
            return False
        following = _read_slice(mark, end, read, apply, is_over)
        try:
            marks.move_watermark(name, seen, following)
        except StorageConflict:
            # Another run is working on this pass and has read at least as much.
            return False
        seen = mark = following
    return True


type ReadOn = Callable[[int], Sequence[Entry]]
"""Takes how many entries to skip. Returns the entries after them; none after the last."""


def read_through(  # noqa: PLR0913 - as `sweep`
    marks: WatermarkStore,
    name: str,
    read: ReadOn,
    apply: Apply,
    *,
    now: int,
    is_over: Callable[[], bool],
) -> bool:
    """Read a whole list, a few pages per run, again and again.

    For a list whose entries change for months after their creation, and for which Razorpay documents neither a period
    nor a largest page: disputes ("Fetch all disputes"). The list ends with a page that has nothing new, whether it is
    empty or `skip` was ignored. An entry created meanwhile moves the others to where they are read again.

    Args:
        marks: the store for the watermark: `at` is when this reading of the list began, `skip` how far it is.
        name: the watermark's name.
        read: returns a page.
        apply: applies a page; it may see an entry more than once.
        now: epoch seconds.
        is_over: returns whether the run is out of time.

    Returns:
        Whether the end was reached.

    Raises:
        Whatever `read` and `apply` raise; the watermark then stays where it was.
    """
    seen = marks.watermark(name)
    mark = seen if seen is not None and seen.skip else Watermark(at=now, span=1)
    met: set[object] = set()
    for _ in range(_PAGES_A_RUN):
        if is_over():
            return False
        page = read(mark.skip)
        apply(page)
        ids = {entry.get("id") for entry in page}
        is_end = ids <= met
        met |= ids
        following = Watermark(at=mark.at, span=1, skip=0 if is_end else mark.skip + len(page))
        try:
            marks.move_watermark(name, seen, following)
        except StorageConflict:
            # Another run is reading this list.
            return False
        if is_end:
            return True
        seen = mark = following
    return False


def _read_slice(mark: Watermark, end: int, read: ReadPage, apply: Apply, is_over: Callable[[], bool]) -> Watermark:
    """Read one slice, or the start of it, and return where to continue."""
    until = min(mark.at + mark.span, end)
    span, skip = until - mark.at, mark.skip if mark.span == 1 else 0
    pages = 0
    while True:
        page = read(mark.at, until - 1, skip)
        apply(page)
        pages += 1
        if len(page) < PAGE:
            # A slice that was easy makes the next one longer. Two pages count as easy: otherwise a slice that was
            # halved in a busy second would stay short forever, and short slices have more half-empty pages.
            longer = min(mark.span * 2, _LONGEST_SPAN_S) if pages <= _EASY else mark.span
            return Watermark(at=until, span=longer)
        if span > 1 and pages == 1 and (shorter := _shorter_span(page, until, span)) is not None:
            return Watermark(at=mark.at, span=shorter)
        skip += PAGE - _OVERLAP
        if span > 1 and (pages >= _DEEPEST or is_over()):
            return Watermark(at=mark.at, span=max(span // 2, 1))
        if span == 1 and is_over():
            return Watermark(at=mark.at, span=1, skip=skip)


def _shorter_span(page: Sequence[Entry], until: int, span: int) -> int | None:
    """Return a shorter length for a slice whose full first page shows that it is too long, or None if it is not."""
    oldest = page[-1].get("created_at")
    if not isinstance(oldest, int):
        return None
    covered = max(until - oldest, 1)
    # As many pages as one slice may have, if the rest is as dense as the first page.
    fitting = covered * (_DEEPEST - 1)
    return fitting if fitting < span else None


class OneRun:
    """The watermark of a single run by hand. Its progress is returned in the response and not stored."""

    def __init__(self, mark: Watermark) -> None:
        self.mark = mark

    def watermark(self, name: str) -> Watermark:  # noqa: ARG002 - as `WatermarkStore`
        """Return how far this run has read."""
        return self.mark

    def move_watermark(self, name: str, seen: Watermark | None, to: Watermark) -> None:  # noqa: ARG002 - as above
        """Move the watermark. No other run uses it."""
        self.mark = to
