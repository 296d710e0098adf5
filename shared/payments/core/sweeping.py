"""Reading Razorpay's lists to their end, so that nothing is missed that no webhook told.

A pass goes over the payments or the refunds of the account by their creation time, always a certain age behind the
present. There are several, since a payment changes after it was made and the lists lag by minutes. How far a pass has
read is its watermark; it moves slice by slice, forward only, and only from where it was read, so two runs do no harm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from payments.core.errors import StorageConflict
from payments.core.model import Model

type Entry = Mapping[str, Any]
"""One item of a list, as parsed."""
type Listed = Literal["payments", "refunds", "orders"]

_MINUTE_S, _HOUR_S, _DAY_S = 60, 60 * 60, 24 * 60 * 60

PAGE = 100
"""Entries on a page; Razorpay gives no more ("Fetch all payments": count)."""
_OVERLAP = 10
"""Entries that a page has in common with the one before, should the list move while it is read."""
_DEEPEST = 5
"""Pages of one slice; what is longer is split in time, since deep pages are slow and move most."""
_EASY = 2
"""Pages of a slice that could have been twice as long."""
_FIRST_BACK_S = 8 * _DAY_S
"""Where a pass begins that has never run: as far back as the oldest pass over payments looks."""
_FIRST_SPAN_S = 5 * _MINUTE_S
EARLIEST, LATEST = 946_684_800, 4_765_046_400
"""The first and the last second that Razorpay's lists take, in 2000 and 2120 ("Fetch all payments": from, to)."""
_LONGEST_SPAN_S = 30 * _DAY_S

ASIDE_PARTITION = "aside"
"""The partition of the sparse index with what was set aside."""
_ASIDE_FIRST_S = 5 * _MINUTE_S


@dataclass(frozen=True, slots=True)
class Pass:
    """One way over a list."""

    listed: Listed
    age_s: int
    every_s: int

    @property
    def name(self) -> str:
        """As its watermark is called, such as `payments-3600`."""
        return f"{self.listed}-{self.age_s}"


# A payment is captured within minutes or given back after three to five days; a refund reaches the bank within a week
# or two ("Late authorisation", "Refunds"). So each is seen when that has happened, and several times before.
_AGES: tuple[tuple[int, int], ...] = (
    (15 * _MINUTE_S, 5 * _MINUTE_S),
    (_HOUR_S, 15 * _MINUTE_S),
    (6 * _HOUR_S, _HOUR_S),
    (_DAY_S, 3 * _HOUR_S),
    (4 * _DAY_S, _DAY_S),
    (8 * _DAY_S, _DAY_S),
)
# In the order in which a run takes them up. Refunds first: they are few, and would wait whenever the payments take all
# of a run's time.
PASSES: tuple[Pass, ...] = (
    *(Pass("refunds", age, every) for age, every in _AGES),
    Pass("refunds", 15 * _DAY_S, _DAY_S),
    *(Pass("payments", age, every) for age, every in _AGES),
)


class Watermark(Model):
    """How far a pass has read: everything created before `at`, and of the slice that begins there `skip` entries."""

    at: int
    """Epoch seconds."""
    span: int
    """How long the next slice is, in seconds."""
    skip: int = 0
    """Only inside one second, which cannot be split."""


class Aside(Model):
    """An entry of a list that could not be read or applied. The others go on; it is tried again by its own GET."""

    razorpay_id: str
    since: int
    failures: int
    due_at: Annotated[int, Field(alias="attention_at")]

    @classmethod
    def first(cls, razorpay_id: str, now: int) -> "Aside":
        """Set aside just now."""
        return cls(razorpay_id=razorpay_id, since=now, failures=1, due_at=now + _ASIDE_FIRST_S)

    def again(self, now: int) -> "Aside":
        """It failed once more: the next try waits twice as long, up to a day."""
        wait = min(_ASIDE_FIRST_S * 2 ** min(self.failures, 20), _DAY_S)
        return Aside(razorpay_id=self.razorpay_id, since=self.since, failures=self.failures + 1, due_at=now + wait)


class Pause(Model):
    """Until when Razorpay is left alone, since it asked us to slow down."""

    until: int
    """Epoch seconds."""
    streak: int
    """How many pauses in a row that makes."""

    @classmethod
    def after(cls, before: "Pause | None", now: int) -> "Pause":
        """The next pause: twice as long as the one before, if that ended a short while ago."""
        in_a_row = before is not None and now - before.until < _PAUSE_FORGOTTEN_S
        streak = before.streak + 1 if before is not None and in_a_row else 1
        return cls(until=now + min(_PAUSE_S * 2 ** (streak - 1), _LONGEST_PAUSE_S), streak=streak)


# "API rate limits": back off exponentially. Its own Retry-After was seen as two seconds, and a longer one without.
_PAUSE_S = 30
_LONGEST_PAUSE_S = 15 * _MINUTE_S
_PAUSE_FORGOTTEN_S = 30 * _MINUTE_S


class WatermarkStore(Protocol):
    """Where watermarks are kept."""

    def watermark(self, name: str) -> Watermark | None:
        """How far a pass has read; None where it never has."""
        ...

    def move_watermark(self, name: str, seen: Watermark | None, to: Watermark) -> None:
        """Moves it, if it is still where it was seen, else StorageConflict."""
        ...


type ReadPage = Callable[[int, int, int], Sequence[Entry]]
"""From, to (epoch seconds, both included) and how many to skip; at most `PAGE` entries, the newest first."""
type Apply = Callable[[Sequence[Entry]], None]
"""Does what a page says. It raises when the page must be read again: nothing of it may be taken as done then."""


def is_due(one: Pass, mark: Watermark | None, now: int) -> bool:
    """Whether a pass has something to read that is worth a call."""
    return mark is None or mark.skip > 0 or now - one.age_s - mark.at >= one.every_s


def sweep(  # noqa: PLR0913 - what is read, how far, from where, by whom, and until when
    marks: WatermarkStore,
    name: str,
    read: ReadPage,
    apply: Apply,
    *,
    end: int,
    begin: int | None = None,
    is_over: Callable[[], bool],
) -> bool:
    """Reads a list from where it was left, slice by slice.

    Args:
        marks: where the watermark is.
        name: of the watermark.
        read: gives a page.
        apply: does what it says; it may see an entry more than once.
        end: how far to read, epoch seconds; this second itself is left for the next time.
        begin: where to begin if there is no watermark; eight days before the end unless given.
        is_over: whether the run has no time left.

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
            # Another run is on its way with this pass, and has read at least as much.
            return False
        seen = mark = following
    return True


def _read_slice(mark: Watermark, end: int, read: ReadPage, apply: Apply, is_over: Callable[[], bool]) -> Watermark:
    """Reads one slice, or the beginning of it; where to go on."""
    until = min(mark.at + mark.span, end)
    span, skip = until - mark.at, mark.skip if mark.span == 1 else 0
    pages = 0
    while True:
        page = read(mark.at, until - 1, skip)
        apply(page)
        pages += 1
        if len(page) < PAGE:
            # A slice that was easy makes the next one longer. Two pages are easy as well: else a slice that was halved
            # in a busy second would stay short for ever, and short slices have more half empty pages.
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
    """How long the slice should be that a full first page shows to be too long; None where it is not."""
    oldest = page[-1].get("created_at")
    if not isinstance(oldest, int):
        return None
    covered = max(until - oldest, 1)
    # As many pages as one slice has, if the rest of it is as dense as what its first page shows.
    fitting = covered * (_DEEPEST - 1)
    return fitting if fitting < span else None


class OneRun:
    """The watermark of a single run by hand, whose progress is its answer and not stored."""

    def __init__(self, mark: Watermark) -> None:
        self.mark = mark

    def watermark(self, name: str) -> Watermark:  # noqa: ARG002 - as `WatermarkStore`
        """How far this run has read."""
        return self.mark

    def move_watermark(self, name: str, seen: Watermark | None, to: Watermark) -> None:  # noqa: ARG002 - as above
        """Moves it; nobody else does."""
        self.mark = to
