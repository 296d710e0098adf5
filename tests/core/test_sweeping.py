"""Reading Razorpay's lists: with lag, crashes and two runs at once no entry is skipped (design, section 7)."""

from collections.abc import Iterator, Sequence
from copy import replace
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.core import sweeping
from payments.core.errors import GatewayUnavailable, StorageConflict
from payments.core.sweeping import PASSES, Apply, Aside, Entry, OneRun, Pass, Pause, ReadPage, Watermark, is_due, sweep
from tests.fakes import Crash, FakeTable

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
NOW: Final = 1_772_357_400
NAME: Final = "payments-900"


def entries(*created: int) -> list[Entry]:
    return [{"id": f"pay_{number:014d}", "created_at": at} for number, at in enumerate(created)]


def newest_first(known: Sequence[Entry], start: int, end: int, skip: int) -> list[Entry]:
    """A page as Razorpay returns it: both ends included, the newest first ("Fetch all payments")."""
    inside = [entry for entry in known if start <= entry["created_at"] <= end]
    inside.sort(key=lambda entry: (entry["created_at"], entry["id"]), reverse=True)
    return inside[skip : skip + sweeping.PAGE]


@dataclass
class Book:
    """A list, and what a sweep read from it."""

    known: list[Entry]
    reads: list[tuple[int, int, int]] = field(default_factory=list)
    applied: set[str] = field(default_factory=set)

    def read(self, start: int, end: int, skip: int) -> list[Entry]:
        self.reads.append((start, end, skip))
        return newest_first(self.known, start, end, skip)

    def apply(self, page: Sequence[Entry]) -> None:
        self.applied.update(entry["id"] for entry in page)

    def sweep(self, marks: FakeTable | OneRun, end: int, *, begin: int | None = None, steps: int = 10**9) -> bool:
        left = iter(range(steps))
        return sweep(marks, NAME, self.read, self.apply, end=end, begin=begin, is_over=lambda: next(left, None) is None)

    @property
    def everything(self) -> set[str]:
        return {entry["id"] for entry in self.known}


# --- one run --------------------------------------------------------------------------------------------------------


def test_a_pass_that_has_never_run_begins_eight_days_back() -> None:
    book, table = Book(entries(NOW - 8 * DAY, NOW - 1)), FakeTable()
    assert book.sweep(table, NOW)
    assert book.reads[0][0] == NOW - 8 * DAY
    assert book.applied == book.everything


def test_the_last_second_is_left_for_the_next_time() -> None:
    book, table = Book(entries(NOW - 1, NOW)), FakeTable()
    assert book.sweep(table, NOW)
    assert len(book.applied) == 1
    assert book.sweep(table, NOW + 1)
    assert book.applied == book.everything


def test_the_watermark_is_where_the_run_ended_and_the_next_begins_there() -> None:
    book, table = Book([]), FakeTable()
    book.sweep(table, NOW)
    assert table.marks[NAME].at == NOW
    book.reads.clear()
    book.sweep(table, NOW + 300)
    assert book.reads[0][0] == NOW


def test_a_watermark_never_moves_back() -> None:
    book, table = Book([]), FakeTable()
    book.sweep(table, NOW)
    mark = table.marks[NAME]
    assert book.sweep(table, NOW - HOUR)
    assert table.marks[NAME] == mark


def test_nothing_is_read_without_time() -> None:
    book, table = Book(entries(NOW - 1)), FakeTable()
    assert not book.sweep(table, NOW, steps=0)
    assert not book.reads
    assert NAME not in table.marks


def test_a_run_that_has_no_time_left_is_gone_on_with_from_its_last_slice() -> None:
    book, table = Book(entries(*range(NOW - 4 * HOUR, NOW, 10))), FakeTable()
    runs = 1
    while not book.sweep(table, NOW, begin=NOW - 4 * HOUR, steps=3):
        runs += 1
        assert runs < 200
    assert runs > 1
    assert book.applied == book.everything


def test_a_crowded_slice_is_split_in_time_before_it_is_paged_deep() -> None:
    book, table = Book(entries(*(NOW - DAY + n // 10 for n in range(3_000)))), FakeTable()
    table.marks[NAME] = Watermark(at=NOW - DAY, span=DAY)
    assert book.sweep(table, NOW)
    assert book.applied == book.everything
    assert max(skip for _, _, skip in book.reads) < 5 * sweeping.PAGE


def test_pages_overlap_by_ten_entries() -> None:
    book, table = Book(entries(*([NOW - 1] * 250))), FakeTable()
    table.marks[NAME] = Watermark(at=NOW - 1, span=1)
    assert book.sweep(table, NOW)
    assert [skip for _, _, skip in book.reads] == [0, 90, 180]


def test_inside_one_second_the_watermark_keeps_how_far_it_was_read() -> None:
    book, table = Book(entries(*([NOW - 1] * 2_000))), FakeTable()
    table.marks[NAME] = Watermark(at=NOW - 1, span=1)
    seen: list[int] = []
    while not book.sweep(table, NOW, steps=2):
        seen.append(table.marks[NAME].skip)
        assert table.marks[NAME].at == NOW - 1
    assert seen == sorted(set(seen))
    assert len(seen) > 5
    assert book.applied == book.everything
    assert table.marks[NAME].skip == 0


@pytest.mark.parametrize("where", ["read", "apply"])
def test_the_watermark_stays_where_a_page_could_not_be_read_or_applied(where: str) -> None:
    book, table = Book(entries(NOW - 1)), FakeTable()
    failure = GatewayUnavailable("down")

    def fail(*_: Any) -> Any:
        raise failure

    read: ReadPage = fail if where == "read" else book.read
    apply: Apply = fail if where == "apply" else book.apply
    with pytest.raises(GatewayUnavailable):
        sweep(table, NAME, read, apply, end=NOW, is_over=lambda: False)
    assert NAME not in table.marks


def test_a_run_that_is_overtaken_stops() -> None:
    book, table = Book(entries(NOW - 1)), FakeTable()

    def overtaken(page: Sequence[Entry]) -> None:
        book.apply(page)
        table.marks[NAME] = Watermark(at=NOW, span=60)

    assert not sweep(table, NAME, book.read, overtaken, end=NOW, begin=NOW - 60, is_over=lambda: False)
    assert table.marks[NAME] == Watermark(at=NOW, span=60)


def test_a_run_by_hand_keeps_its_progress_to_itself() -> None:
    run = OneRun(Watermark(at=NOW - DAY, span=HOUR))
    book = Book(entries(NOW - DAY, NOW - 1))
    assert book.sweep(run, NOW)
    assert run.mark.at == NOW
    assert book.reads[0] == (NOW - DAY, NOW - DAY + HOUR - 1, 0)
    assert book.applied == book.everything


def test_an_entry_that_has_no_time_does_not_keep_a_slice_from_being_read() -> None:
    known = entries(*(NOW - 1 - n // 50 for n in range(400)))
    odd = [{**entry, "created_at": "yesterday"} for entry in known]

    def read(start: int, end: int, skip: int) -> list[Entry]:
        page = newest_first(known, start, end, skip)
        return [odd[known.index(entry)] for entry in page]

    applied: set[str] = set()
    table = FakeTable()
    assert sweep(
        table,
        NAME,
        read,
        lambda page: applied.update(entry["id"] for entry in page),
        end=NOW,
        begin=NOW - HOUR,
        is_over=lambda: False,
    )
    assert len(applied) == 400


# --- every order of steps -------------------------------------------------------------------------------------------


class _Next(BaseException):
    """The step that a run takes next."""


@dataclass(frozen=True)
class Run:
    """One run: the results of its steps. It may crash after each of them."""

    end: int
    answers: tuple[object, ...] = ()
    is_done: bool = False


@dataclass(frozen=True)
class Sweeps:
    mark: Watermark | None
    applied: frozenset[str]
    runs: tuple[Run, ...]


class _Script:
    """Everything that a run calls: replays the results so far, and stops at the first new step."""

    def __init__(self, known: Sequence[Entry], world: Sweeps, answers: Sequence[object], *, conditional: bool) -> None:
        self._known, self._world, self._answers = known, world, list(answers)
        self._conditional = conditional
        self.following: list[tuple[object, Sweeps]] = []

    def watermark(self, _name: str) -> Any:
        return self._step([(self._world.mark, self._world)])

    def move_watermark(self, _name: str, seen: Watermark | None, to: Watermark) -> None:
        moves = seen == self._world.mark or not self._conditional
        self._step([(None, replace(self._world, mark=to)) if moves else (StorageConflict(), self._world)])

    def read(self, start: int, end: int, skip: int) -> list[Entry]:
        return newest_first(self._known, start, end, skip)

    def apply(self, page: Sequence[Entry]) -> None:
        applied = self._world.applied | {entry["id"] for entry in page}
        self._step([(None, replace(self._world, applied=applied))])

    def is_over(self) -> Any:
        return self._step([(False, self._world), (True, self._world)])

    def _step(self, following: list[tuple[object, Sweeps]]) -> object:
        if not self._answers:
            self.following = following
            raise _Next
        answer = self._answers.pop(0)
        if isinstance(answer, StorageConflict):
            raise answer
        return answer


def following(known: Sequence[Entry], world: Sweeps, *, conditional: bool) -> Iterator[Sweeps]:
    """Every state that is one step away. A run that takes no more steps has crashed."""
    for number, run in enumerate(world.runs):
        if run.is_done:
            continue
        script = _Script(known, world, run.answers, conditional=conditional)
        try:
            sweep(script, NAME, script.read, script.apply, end=run.end, begin=0, is_over=script.is_over)
        except _Next:
            for answer, after in script.following:
                yield _with(after, number, replace(run, answers=(*run.answers, answer)))
        else:
            yield _with(world, number, Run(run.end, is_done=True))


def _with(world: Sweeps, number: int, run: Run) -> Sweeps:
    return replace(world, runs=(*world.runs[:number], run, *world.runs[number + 1 :]))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and slices so small that a few entries fill them."""
    for name, value in (("PAGE", 3), ("_OVERLAP", 1), ("_DEEPEST", 2), ("_FIRST_SPAN_S", 4), ("_LONGEST_SPAN_S", 4)):
        monkeypatch.setattr(sweeping, name, value)


def explore(known: Sequence[Entry], ends: Sequence[int], *, conditional: bool = True) -> int:
    """Visits every state of concurrent runs to these ends; returns how many there are."""
    start = Sweeps(None, frozenset(), tuple(Run(end) for end in ends))
    seen, todo, states = {repr(start)}, [start], 0
    while todo:
        world = todo.pop()
        states += 1
        if world.mark is not None:
            behind = {entry["id"] for entry in known if entry["created_at"] < world.mark.at}
            assert behind <= world.applied, f"skipped before {world.mark}"
        for after in following(known, world, conditional=conditional):
            if world.mark is not None and after.mark is not None:
                assert after.mark.at >= world.mark.at, "the watermark went back"
            if (key := repr(after)) not in seen:
                seen.add(key)
                todo.append(after)
    return states


CROWDED: Final = entries(0, 1, 1, 1, 1, 1, 3)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("known", "ends"),
    [(CROWDED, (2,)), (CROWDED, (4,)), (CROWDED, (2, 2)), (entries(0, 0, 1, 2, 2), (2, 3)), (entries(0, 1), (1, 2, 2))],
    ids=["one second", "one run", "two alike", "two with different ends", "three"],
)
def test_whatever_stops_whenever_nothing_before_the_watermark_was_skipped(
    known: Sequence[Entry], ends: Sequence[int]
) -> None:
    assert explore(known, ends) > 5


@pytest.mark.usefixtures("small")
def test_the_exploration_notices_a_watermark_that_moves_whatever_it_was_seen_at() -> None:
    with pytest.raises(AssertionError, match="the watermark went back"):
        explore(entries(0, 1), (1, 2), conditional=False)


# --- with lag, over weeks -------------------------------------------------------------------------------------------


@dataclass
class Account:
    """Razorpay's list, in which an entry appears some time after its creation."""

    arrivals: list[tuple[int, int]]
    """When each entry was created, and how much later it is listed."""
    applied: set[str] = field(default_factory=set)

    def page(self, now: int, start: int, end: int, skip: int) -> list[Entry]:
        known = entries(*(created for created, _ in self.arrivals))
        listed = [entry for entry, (at, lag) in zip(known, self.arrivals, strict=True) if at + lag <= now]
        return newest_first(listed, start, end, skip)

    def run(self, table: FakeTable, one: Pass, now: int, *, steps: int, crashes_at: int) -> None:
        left, calls = iter(range(steps)), iter(range(crashes_at))

        def apply(page: Sequence[Entry]) -> None:
            if next(calls, None) is None:
                raise Crash
            self.applied.update(entry["id"] for entry in page)

        def read(start: int, end: int, skip: int) -> list[Entry]:
            return self.page(now, start, end, skip)

        sweep(
            table,
            one.name,
            read,
            apply,
            end=now - one.age_s,
            is_over=lambda: next(left, None) is None,
        )


PAYMENTS: Final = [one for one in PASSES if one.listed == "payments"]
LAGS: Final = st.sampled_from([0, 30, 10 * MINUTE, 2 * HOUR, 3 * DAY])


@settings(max_examples=40)
@given(data=st.data())
def test_an_entry_that_is_listed_late_is_met_by_a_later_pass(data: st.DataObject) -> None:
    burst = data.draw(st.integers(0, 150))
    times = st.tuples(st.integers(NOW, NOW + 2 * DAY), LAGS)
    account = Account([*data.draw(st.lists(times, max_size=30)), *[(NOW + HOUR, 5)] * burst])
    table = FakeTable()
    for day in range(1, 12):
        for one in PAYMENTS:
            crashes_at = data.draw(st.sampled_from([0, 1, 2, 10**6]))
            steps = data.draw(st.sampled_from([1, 3, 10**6]))
            try:
                account.run(table, one, NOW + day * DAY, steps=steps, crashes_at=crashes_at)
            except Crash:
                continue
    for one in PAYMENTS:
        account.run(table, one, NOW + 12 * DAY, steps=10**6, crashes_at=10**6)
    assert len(account.applied) == len(account.arrivals)


# --- when a pass is due, and what is postponed ----------------------------------------------------------------------


def test_the_first_and_the_last_second_of_a_list_are_those_that_razorpay_documents() -> None:
    # "Fetch all payments": from and to.
    assert (sweeping.EARLIEST, sweeping.LATEST) == (946_684_800, 4_765_046_400)


def test_the_passes_are_those_of_the_design() -> None:
    ages = {"payments": set[tuple[int, int]](), "refunds": set[tuple[int, int]]()}
    for one in PASSES:
        ages[one.listed].add((one.age_s, one.every_s))
    six = {
        (15 * MINUTE, 5 * MINUTE),
        (HOUR, 15 * MINUTE),
        (6 * HOUR, HOUR),
        (DAY, 3 * HOUR),
        (4 * DAY, DAY),
        (8 * DAY, DAY),
    }
    assert ages == {"payments": six, "refunds": six | {(15 * DAY, DAY)}}
    assert len({one.name for one in PASSES}) == len(PASSES)


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (None, True),
        (Watermark(at=NOW - HOUR - 15 * MINUTE, span=60), True),
        (Watermark(at=NOW - HOUR - 15 * MINUTE + 1, span=60), False),
        (Watermark(at=NOW - HOUR, span=1, skip=1), True),
    ],
)
def test_a_pass_is_due_when_its_interval_is_over_or_it_was_left_inside_a_second(
    mark: Watermark | None, expected: bool
) -> None:
    assert is_due(Pass("payments", HOUR, 15 * MINUTE), mark, NOW) is expected


def test_what_was_set_aside_is_tried_again_with_growing_waits_up_to_a_day() -> None:
    aside = Aside.first("pay_DESlfW9H8K9uqM", NOW)
    waits = [aside.due_at - NOW]
    for _ in range(30):
        aside = aside.again(NOW)
        waits.append(aside.due_at - NOW)
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert waits[-1] == DAY
    assert (aside.razorpay_id, aside.since, aside.failures) == ("pay_DESlfW9H8K9uqM", NOW, 31)


def test_pauses_in_a_row_grow_and_one_after_a_while_begins_anew() -> None:
    first = Pause.after(None, NOW)
    second = Pause.after(first, first.until)
    assert second.until - first.until > first.until - NOW
    assert (first.streak, second.streak) == (1, 2)
    later = Pause.after(second, second.until + DAY)
    assert later.until - (second.until + DAY) == first.until - NOW
    endless = Pause(until=NOW, streak=10)
    assert Pause.after(endless, NOW).until - NOW <= HOUR


def test_each_try_of_what_was_set_aside_waits_twice_as_long_from_five_minutes_on() -> None:
    aside, waits = Aside.first("pay_DESlfW9H8K9uqM", NOW), []
    for number in range(10):
        waits.append((aside.due_at - NOW - number) // MINUTE)
        aside = aside.again(NOW + number + 1)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440]
    assert (aside.since, aside.failures) == (NOW, 11)
    # However often: no number overflows.
    assert replace(aside, failures=10**6).again(NOW).due_at == NOW + DAY


def test_pauses_in_a_row_double_from_half_a_minute_up_to_a_quarter_of_an_hour() -> None:
    pause, now, waits = None, NOW, []
    for streak in range(1, 8):
        pause = Pause.after(pause, now)
        assert pause.streak == streak
        waits.append(pause.until - now)
        now = pause.until
    assert waits == [30, 60, 120, 240, 480, 900, 900]


@pytest.mark.parametrize(("quiet", "streak"), [(30 * MINUTE - 1, 4), (30 * MINUTE, 1)])
def test_a_pause_counts_as_the_next_of_a_row_for_half_an_hour(quiet: int, streak: int) -> None:
    assert Pause.after(Pause(until=NOW, streak=3), NOW + quiet).streak == streak


def test_a_watermark_is_called_after_its_list_and_its_age() -> None:
    assert [one.name for one in PASSES] == [
        "refunds-900",
        "refunds-3600",
        "refunds-21600",
        "refunds-86400",
        "refunds-345600",
        "refunds-691200",
        "refunds-1296000",
        "payments-900",
        "payments-3600",
        "payments-21600",
        "payments-86400",
        "payments-345600",
        "payments-691200",
    ]


# --- how long a slice is --------------------------------------------------------------------------------------------


def swept(created: Sequence[int], mark: Watermark, *, end: int = NOW, steps: int = 10**9) -> tuple[Book, FakeTable]:
    """A list swept from this watermark on."""
    book, table = Book(entries(*created)), FakeTable()
    table.marks[NAME] = mark
    book.sweep(table, end, steps=steps)
    return book, table


def test_a_pass_begins_with_five_minutes_and_a_slice_that_was_easy_doubles_the_next() -> None:
    book, table = Book([]), FakeTable()
    book.sweep(table, NOW, begin=NOW - 35 * MINUTE)
    assert book.reads == [
        (NOW - 35 * MINUTE, NOW - 30 * MINUTE - 1, 0),
        (NOW - 30 * MINUTE, NOW - 20 * MINUTE - 1, 0),
        (NOW - 20 * MINUTE, NOW - 1, 0),
    ]
    assert table.marks[NAME] == Watermark(at=NOW, span=40 * MINUTE)


def test_no_slice_is_longer_than_thirty_days() -> None:
    _, table = swept([], Watermark(at=NOW - DAY, span=20 * DAY))
    assert table.marks[NAME] == Watermark(at=NOW, span=30 * DAY)


@pytest.mark.parametrize(
    ("count", "reads", "span"),
    [
        (99, [0], 2000),  # one page, not full
        (100, [0, 90], 2000),  # the second one shows that the list ends
        (189, [0, 90], 2000),
        (190, [0, 90, 180], 1000),  # three pages: large enough
        (360, [0, 90, 180, 270], 1000),
    ],
)
def test_two_pages_are_easy_and_more_keep_a_slice_as_long_as_it_is(count: int, reads: list[int], span: int) -> None:
    # Spread so that the first page already covers most of the time.
    created = [NOW - 1000] + [NOW - 1 - (n * 998) // count for n in range(count - 1)]
    book, table = swept(created, Watermark(at=NOW - 1000, span=1000))
    assert [skip for _, _, skip in book.reads] == reads
    assert {(start, end) for start, end, _ in book.reads} == {(NOW - 1000, NOW - 1)}
    assert table.marks[NAME] == Watermark(at=NOW, span=span)
    assert book.applied == book.everything


def test_a_slice_that_its_first_page_shows_to_be_too_long_becomes_as_long_as_four_such_pages() -> None:
    created = [NOW - 1 - n // 10 for n in range(2_000)]
    book, _ = swept(created, Watermark(at=NOW - 1000, span=1000), steps=2)
    # A hundred entries took ten seconds, so that four pages take forty.
    assert book.reads == [(NOW - 1000, NOW - 1, 0), (NOW - 1000, NOW - 1000 + 40 - 1, 0)]


@pytest.mark.parametrize(("span", "shortened"), [(40, False), (41, True)])
def test_a_slice_that_fits_is_not_shortened(span: int, shortened: bool) -> None:
    created = [NOW - 1 - n // 10 for n in range(10 * span)]
    book, _ = swept(created, Watermark(at=NOW - span, span=span))
    assert (book.reads[1] == (NOW - span, NOW - span + 40 - 1, 0)) is shortened
    assert (book.reads[1] == (NOW - span, NOW - 1, 90)) is not shortened


def test_how_far_a_page_goes_its_last_entry_says() -> None:
    created = [NOW - 1] * 99 + [NOW - 500] * 50
    book, _ = swept(created, Watermark(at=NOW - 1000, span=1000))
    assert book.reads == [(NOW - 1000, NOW - 1, 0), (NOW - 1000, NOW - 1, 90)]


def test_a_page_of_one_second_makes_slices_of_four() -> None:
    created = [NOW - 1] * 200
    _, table = swept(created, Watermark(at=NOW - 1000, span=1000), steps=1)
    assert table.marks[NAME] == Watermark(at=NOW - 1000, span=4)


def test_a_slice_of_five_full_pages_is_halved_and_begun_again() -> None:
    # The first page covers nearly everything; the rest is one crowded moment.
    created = [NOW - 1 - n * 3 for n in range(99)] + [NOW - 300] * 600
    book, _ = swept(created, Watermark(at=NOW - 301, span=301))
    assert [skip for _, _, skip in book.reads[:5]] == [0, 90, 180, 270, 360]
    assert book.reads[5] == (NOW - 301, NOW - 301 + 150 - 1, 0)
    assert book.applied == book.everything


def test_a_slice_is_halved_where_the_time_is_over_between_two_pages() -> None:
    created = [NOW - 1 - n * 3 for n in range(99)] + [NOW - 300] * 200
    book, table = Book(entries(*created)), FakeTable()
    table.marks[NAME] = Watermark(at=NOW - 301, span=301)
    assert not book.sweep(table, NOW, steps=1)
    # The remaining time was checked before the slice, and again after its first page.
    assert [skip for _, _, skip in book.reads] == [0]
    assert table.marks[NAME] == Watermark(at=NOW - 301, span=150)


def test_a_slice_of_two_seconds_is_halved_to_one() -> None:
    created = [NOW - 1] * 50 + [NOW - 2] * 600
    _, table = swept(created, Watermark(at=NOW - 2, span=2), steps=1)
    assert table.marks[NAME] == Watermark(at=NOW - 2, span=1)


def test_the_skip_of_one_second_counts_for_that_second_alone() -> None:
    book, _ = swept([NOW - 100] * 150, Watermark(at=NOW - 100, span=100, skip=90))
    assert book.reads[0] == (NOW - 100, NOW - 1, 0)
    book, table = swept([NOW - 1] * 150, Watermark(at=NOW - 1, span=1, skip=90))
    assert book.reads == [(NOW - 1, NOW - 1, 90)]
    assert table.marks[NAME] == Watermark(at=NOW, span=2)


def test_inside_one_second_the_run_goes_on_for_as_long_as_there_is_time() -> None:
    book, table = Book(entries(*([NOW - 1] * 1_000))), FakeTable()
    table.marks[NAME] = Watermark(at=NOW - 1, span=1)
    assert book.sweep(table, NOW)
    assert [skip for _, _, skip in book.reads] == list(range(0, 1_000, 90))
    table.marks[NAME] = Watermark(at=NOW - 1, span=1)
    book.reads.clear()
    assert not book.sweep(table, NOW, steps=3)
    assert table.marks[NAME] == Watermark(at=NOW - 1, span=1, skip=270)


def test_inside_one_second_the_watermark_is_moved_once_and_not_for_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """One write per page would cost more than the pages."""
    table, moves = FakeTable(), list[Watermark]()
    table.marks[NAME] = Watermark(at=NOW - 1, span=1)
    move = table.move_watermark

    def counted(name: str, seen: Watermark | None, to: Watermark) -> None:
        moves.append(to)
        move(name, seen, to)

    monkeypatch.setattr(table, "move_watermark", counted)
    assert Book(entries(*([NOW - 1] * 1_000))).sweep(table, NOW)
    assert [mark.at for mark in moves] == [NOW]


def test_the_last_slice_ends_where_the_run_does() -> None:
    book, table = swept([], Watermark(at=NOW - 10, span=300))
    assert book.reads == [(NOW - 10, NOW - 1, 0)]
    assert table.marks[NAME] == Watermark(at=NOW, span=600)


def test_a_run_that_has_no_time_left_says_so_and_one_that_is_through_as_well() -> None:
    book, table = Book([]), FakeTable()
    assert book.sweep(table, NOW, begin=NOW - 10, steps=0) is False
    assert book.sweep(table, NOW, begin=NOW - 10, steps=1) is True
    # Nothing is left to read, so the time is not checked.
    assert book.sweep(table, NOW, steps=0) is True


# --- a whole list, which has no period ---


class Whole:
    """A list that is read from its start to its end; it answers no page of more than so many."""

    def __init__(self, count: int, *, most: int = sweeping.PAGE) -> None:
        self.entries: list[Entry] = [{"id": f"disp_{number:014d}"} for number in range(count)]
        self.applied: set[object] = set()
        self.skips: list[int] = []
        self.most = most

    def page(self, skip: int) -> Sequence[Entry]:
        self.skips.append(skip)
        return self.entries[skip : skip + self.most]

    def read(self, table: FakeTable, now: int = NOW, steps: int | None = None) -> bool:
        left = iter(range(steps)) if steps is not None else None
        return sweeping.read_through(
            table,
            NAME,
            self.page,
            lambda page: self.applied.update(entry["id"] for entry in page),
            now=now,
            is_over=lambda: left is not None and next(left, None) is None,
        )

    @property
    def everything(self) -> set[object]:
        return {entry["id"] for entry in self.entries}


@pytest.mark.parametrize("most", [10, 100])
def test_a_whole_list_is_read_to_its_end_whatever_the_size_of_its_pages(most: int) -> None:
    """The page of the list of disputes names neither a default nor a largest page (api/disputes/fetch-all.md)."""
    whole, table, runs = Whole(120, most=most), FakeTable(), 1
    while not whole.read(table):
        runs += 1
    assert whole.applied == whole.everything
    assert (runs == 1) is (most == sweeping.PAGE)
    assert table.marks[NAME] == Watermark(at=NOW, span=1)


def test_an_empty_list_costs_one_call() -> None:
    whole, table = Whole(0), FakeTable()
    assert whole.read(table)
    assert whole.skips == [0]


def test_a_list_that_ignores_skip_is_not_read_for_ever() -> None:
    whole, table = Whole(3), FakeTable()
    whole.page = lambda skip: whole.skips.append(skip) or whole.entries  # type: ignore[method-assign, func-returns-value]
    assert whole.read(table)
    assert whole.skips == [0, 3]


def test_a_list_that_begins_again_after_its_end_is_not_read_for_ever() -> None:
    whole, table = Whole(200), FakeTable()
    read_on = whole.page
    whole.page = lambda skip: read_on(skip % 200)  # type: ignore[method-assign]
    assert whole.read(table)
    assert whole.skips == [0, 100, 0]


def test_a_run_reads_five_pages_of_a_whole_list_and_the_next_goes_on_there() -> None:
    whole, table = Whole(720), FakeTable()
    assert not whole.read(table)
    assert whole.skips == [0, 100, 200, 300, 400]
    assert table.marks[NAME] == Watermark(at=NOW, span=1, skip=500)
    assert whole.read(table, NOW + 300)
    assert whole.skips[5:] == [500, 600, 700, 720]
    assert whole.applied == whole.everything
    # The next reading is due three hours after this one began.
    assert table.marks[NAME] == Watermark(at=NOW, span=1)
    assert not is_due(sweeping.DISPUTES, table.marks[NAME], NOW + 3 * HOUR - 1)
    assert is_due(sweeping.DISPUTES, table.marks[NAME], NOW + 3 * HOUR)


def test_an_entry_that_comes_while_a_whole_list_is_read_hides_no_other() -> None:
    whole, table = Whole(300), FakeTable()
    assert not whole.read(table, steps=1)
    whole.entries.insert(0, {"id": "disp_newest00000000"})
    assert whole.read(table)
    assert whole.applied == whole.everything - {"disp_newest00000000"}
    # It is found from the start, three hours later.
    assert whole.read(table, NOW + 3 * HOUR)
    assert whole.applied == whole.everything


def test_without_time_nothing_of_a_whole_list_is_read() -> None:
    whole, table = Whole(3), FakeTable()
    assert not whole.read(table, steps=0)
    assert not whole.skips
    assert NAME not in table.marks


def test_a_run_over_a_whole_list_that_is_overtaken_stops() -> None:
    whole, table = Whole(300), FakeTable()

    def overtaken(skip: int) -> Sequence[Entry]:
        table.marks[NAME] = Watermark(at=NOW + 1, span=1, skip=7)
        return whole.entries[skip : skip + 100]

    whole.page = overtaken  # type: ignore[method-assign]
    assert not whole.read(table)
    assert table.marks[NAME] == Watermark(at=NOW + 1, span=1, skip=7)
