"""The sweep keeps up with a busy account, makes few calls for an idle one, and skips nothing."""

import pytest

from bench import scaling, simulation
from payments.core.sweeping import DISPUTES, PAGE, PASSES, Entry, OneRun, Watermark, is_due, read_through
from payments.wiring.reconcile import WORKERS
from payments.wiring.sweep import _TIME_FOR_A_PAGE_MS
from sandbox.cloud.packages import read_template
from tests.bench.razorpay_lists import CALL_S, RUN_EVERY_S, Sweeper, busy

START = 1_800_000_000
HOUR_S, DAY_S = 3_600, 86_400
PER_SECOND = 100.0
HOURS = 6
CALLS_OF_AN_IDLE_DAY = 1_500
"""The maximum number of calls for an idle account."""
LATE_S = 2 * RUN_EVERY_S
"""A pass that cannot read everything due in one run continues in the next ones."""


def run_s() -> float:
    """How long a run keeps reading: until there is no time for another page."""
    timeout_s: int = read_template(scaling.TEMPLATE)["Resources"]["ReconcileFunction"]["Properties"]["Timeout"]
    return timeout_s - _TIME_FOR_A_PAGE_MS / 1000


def sweeper(payments_a_second: float, seed: int, workers: int = WORKERS) -> Sweeper:
    return Sweeper(START, busy(payments_a_second, seed), workers, run_s())


@pytest.fixture(scope="module")
def busy_hours() -> Sweeper:
    """All passes due at once, the worst case, then six hours at a hundred payments a second."""
    busy_one = sweeper(PER_SECOND, 20261125)
    busy_one.begin()
    busy_one.run_for(HOURS * HOUR_S)
    return busy_one


@pytest.mark.parametrize("name", [one.name for one in PASSES])
def test_at_a_hundred_payments_a_second_every_pass_keeps_up(busy_hours: Sweeper, name: str) -> None:
    late = busy_hours.lags[name]
    begun, ended = late[: len(late) // 2], late[len(late) // 2 :]
    # The backlog from all passes being due at once is read within the first hours and does not grow.
    assert max(late) <= 2 * LATE_S
    assert max(ended) <= max(LATE_S, *begun)


def test_at_a_hundred_payments_a_second_it_asks_ten_times_a_second_at_most(busy_hours: Sweeper) -> None:
    # A tenth of the rate limit that the simulation assumes for an account.
    assert busy_hours.calls.total() / (HOURS * HOUR_S) <= 10
    assert busy_hours.calls.total() / (HOURS * HOUR_S) <= WORKERS / CALL_S


def test_a_page_is_worth_as_many_payments_as_the_simulation_takes_it_for(busy_hours: Sweeper) -> None:
    calls = busy_hours.calls["payments-900"]
    assert HOURS * HOUR_S * PER_SECOND / calls == pytest.approx(simulation.PAYMENTS_A_PAGE, rel=0.1)


def test_with_one_worker_it_would_not_keep_up(seed: int) -> None:
    # Otherwise the workers would make no difference.
    alone = sweeper(PER_SECOND, seed, workers=1)
    alone.begin()
    alone.run_for(3 * HOUR_S)
    late = [max(hour) for name in alone.lags for hour in [alone.lags[name][-12:]]]
    assert max(late) > HOUR_S


def test_it_catches_up_after_an_outage_of_an_hour(seed: int) -> None:
    # Customers wait for what the youngest pass reads.
    late = sweeper(PER_SECOND, seed)
    late.begin(behind_s=HOUR_S)
    late.run_for(10 * HOUR_S)
    assert late.lags["payments-900"][0] > HOUR_S / 2
    for one in PASSES:
        assert max(late.lags[one.name][-12:]) <= 2 * LATE_S, one.name


@pytest.mark.parametrize("listed", [1.0, 20.0])
def test_a_quieter_account_costs_less(seed: int, listed: float, busy_hours: Sweeper) -> None:
    quieter = sweeper(listed, seed)
    quieter.begin()
    quieter.run_for(HOURS * HOUR_S)
    # Pages are not equally full, so not exactly in proportion.
    assert quieter.calls.total() <= busy_hours.calls.total() * listed / PER_SECOND * 1.5 + CALLS_OF_AN_IDLE_DAY
    assert all(max(late) <= LATE_S for late in quieter.lags.values())


def test_an_idle_account_is_asked_at_most_fifteen_hundred_times_a_day(seed: int) -> None:
    idle = sweeper(0, seed)
    # A new account: no pass has read anything, and each starts eight days in the past.
    idle.run_for(DAY_S)
    assert idle.calls.total() <= CALLS_OF_AN_IDLE_DAY
    for _ in range(7):
        before = idle.calls.total()
        idle.run_for(DAY_S)
        calls = idle.calls.total() - before + calls_for_disputes(DAY_S)
        assert calls == scaling.IDLE_CALLS_A_DAY
    # `tests/handlers/test_reconcile.py` counts those of the expiry lane.
    assert scaling.IDLE_CALLS_A_DAY + scaling.IDLE_EXPIRY_CALLS_A_DAY <= CALLS_OF_AN_IDLE_DAY


def calls_for_disputes(period_s: int, disputes: int = 0) -> int:
    """How often the list of so many disputes is asked for, in runs of five minutes."""
    entries: list[Entry] = [{"id": number} for number in range(disputes)]
    marks, calls = OneRun(Watermark(at=0, span=1)), 0

    def read(skip: int) -> list[Entry]:
        nonlocal calls
        calls += 1
        return entries[skip : skip + PAGE]

    for now in range(RUN_EVERY_S, period_s + 1, RUN_EVERY_S):
        if is_due(DISPUTES, marks.mark, now):
            read_through(marks, DISPUTES.name, read, lambda _page: None, now=now, is_over=lambda: False)
    return calls


def test_an_account_with_disputes_is_asked_for_them_in_proportion_and_never_without_end() -> None:
    # A page that has nothing new ends the list, so one call is added to those of its pages.
    assert calls_for_disputes(DAY_S, 250) == 8 * 4
    # However many there are: five pages a run.
    runs = (DAY_S - 3 * HOUR_S) // RUN_EVERY_S + 1
    assert calls_for_disputes(DAY_S, 10**6) == 5 * runs
