"""Create-order with its steps in every order, and crashes: no application is charged twice (design, invariant 19)."""

from collections.abc import Callable
from copy import replace

import pytest

from payments.core.model import Application, Record
from tests.core.order_model import QUICK, A, B, Bound, Violation, explore
from tests.fakes import FakeTable


@pytest.mark.parametrize("bound", QUICK.values(), ids=QUICK)
def test_an_application_is_sold_once_whatever_the_order_of_steps(bound: Bound) -> None:
    explored = explore(bound)
    assert explored.states > 500
    assert any(end.startswith("got order_") for end in explored.ends)
    if bound.payments:
        refusals = {"PaymentInProgress"} if bound.status == "authorized" else {"AlreadyPaid", "PaymentUnderReview"}
        assert explored.ends & refusals


class Keeps(FakeTable):
    """A table that does not mark the order that is replaced."""

    def replace_order(self, seen: Application, fresh: Record, old: tuple[Record, Record] | None) -> None:  # noqa: ARG002 - that is what is broken
        super().replace_order(seen, fresh, None)


class Unconditional(FakeTable):
    """A table that replaces an order even if it has changed since it was read."""

    def replace_order(self, seen: Application, fresh: Record, old: tuple[Record, Record] | None) -> None:
        if old is not None:
            stored = self.records[old[0].order_id]
            after = replace(stored, superseded_by=fresh.order_id, version=stored.version + 1)
            old = (stored, after)
        super().replace_order(seen, fresh, old)


class Overwrites(FakeTable):
    """A table that lets a second first order overwrite the first."""

    def open_application(self, client_id: int, application_id: int, order_id: str) -> None:
        self.applications.pop((client_id, application_id), None)
        super().open_application(client_id, application_id, order_id)


def broken(kind: type[FakeTable]) -> Callable[[FakeTable], FakeTable]:
    """Uses a table of this kind for each step."""

    def make(table: FakeTable) -> FakeTable:
        twin = kind()
        twin.__dict__.update({name: value for name, value in table.copy().__dict__.items() if name != "_lock"})
        return twin

    return make


@pytest.mark.parametrize(
    ("kind", "bound", "why"),
    [
        (Keeps, Bound((B,), before=(A,), payments=0), "open at once"),
        (Unconditional, Bound((B,), before=(A,), payments=1), "was replaced though"),
        (Overwrites, Bound((A, B), payments=0), "open at once|forgot"),
    ],
)
def test_the_model_finds_what_a_weaker_table_would_let_through(kind: type[FakeTable], bound: Bound, why: str) -> None:
    with pytest.raises(Violation, match=why):
        explore(bound, broken(kind))
