"""Draw documents (`ops.documents`) for a person at a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from payments.core.money import EXPONENT_BY_CURRENCY

type Document = Mapping[str, Any]

_PROSE: Final = frozenset({"what", "by", "facts", "vouched for by", "caused", "events to publish"})
"""Columns that may be broken. Ids and times are kept whole, so that they can be copied."""
_COLOURS: Final = {
    "paid": "green",
    "authorized": "yellow",
    "failed": "red",
    "refunded": "blue",
    "created": "default",
    "unknown": "magenta",
}


def money(minor: int | None, currency: str | None) -> str:
    """Return an amount as people write it: 49950 INR minor units are `INR 499.50`."""
    if minor is None or currency is None:
        return "-"
    exponent = EXPONENT_BY_CURRENCY.get(currency, 2)
    return f"{currency} {Decimal(minor).scaleb(-exponent):,.{exponent}f}"


def status(of: Document) -> str:
    """Return a status, with what makes it remarkable."""
    marks = ["" if of.get("confirmed", True) or of["status"] != "paid" else " (unconfirmed)"]
    marks += [" [bold red]under review[/]"] if of.get("under_review") else []
    marks += [f" superseded by {of['superseded_by']}"] if of.get("superseded_by") else []
    return f"[{_COLOURS.get(of['status'], 'default')}]{of['status']}[/]{''.join(marks)}"


def summaries(payments: Iterable[Document]) -> Table:
    """Return payments, one a line."""
    rows = [
        (
            one["order_id"],
            status(one),
            money(one["amount"], one["currency"]),
            str(one.get("application_id", "-")),
            str(one.get("client_id", "-")),
            one["created_at"],
        )
        for one in payments
    ]
    return table(("order", "status", "amount", "application", "client", "created"), rows)


def payment(one: Document) -> list[Any]:
    """Return everything about a payment: what it is now, its parts, and its timeline."""
    currency = one["currency"]
    shown: list[Any] = [
        f"[bold]{one['order_id']}[/]  {status(one)}  {money(one['amount'], currency)}"
        + (f", refunded {money(one['amount_refunded'], currency)}" if one["amount_refunded"] else ""),
        "  ".join(
            f"{name.removesuffix('_id')} {one[name]}"
            for name in ("payment_id", "job_id", "application_id", "client_id", "freelancer_id")
            if one.get(name) is not None
        ),
    ]
    if one["due"]:
        failures = f", after {one['due']['failures']} failures" if one["due"]["failures"] else ""
        shown.append(f"due in lane {one['due']['lane']} at {one['due']['at']}{failures}")
    if one["payments"]:
        rows = [
            (each["id"], _facts(each), money(each["amount"], each["currency"]), _role(each)) for each in one["payments"]
        ]
        shown.append(table(("payment", "facts", "captured", "counts as"), rows, title="Payments"))
    if one["refunds"]:
        rows = [
            (each["id"], each["payment"], each["state"], money(each["amount"], currency)) for each in one["refunds"]
        ]
        shown.append(table(("refund", "of", "state", "amount"), rows, title="Refunds"))
    if one["disputes"]:
        rows = [
            (each["id"], each["payment"], f"{each['state']} ({each['phase']})", money(each["amount"], each["currency"]))
            for each in one["disputes"]
        ]
        shown.append(table(("dispute", "about", "state", "amount"), rows, title="Disputes"))
    if one["reviews"]:
        shown.append(reviews(one["reviews"]))
    if one["pending"]:
        shown.append(events(one["pending"], "Not on the bus yet"))
    return [*shown, timeline(one["timeline"])]


def timeline(entries: Iterable[Document], title: str = "Timeline") -> Table:
    """Return changes of a record, oldest first."""
    rows = [(one["at"], escape(one["what"]), status(one), who(one["by"])) for one in entries]
    return table(("at", "what", "status", "by"), rows, title=title)


def reviews(found: Iterable[Document]) -> Table:
    """Return the reviews of one payment."""
    rows = [
        (one["reason"], one["subject"], "[bold red]open[/]" if one["state"] == "open" else one["state"], one["since"])
        for one in found
    ]
    return table(("review", "about", "state", "since"), rows, title="Reviews")


def events(found: Iterable[Document], title: str) -> Table:
    """Return events."""
    rows = [(one["type"], one["review"] or one["about"] or "-", one["event_id"]) for one in found]
    return table(("event", "about", "event id"), rows, title=title)


def explanation(of: Document) -> list[Any]:
    """Return which fact caused which status and event."""
    rows = []
    for step in of["steps"]:
        facts = "\n".join(_fact(one) for one in step["facts"]) or escape(step["what"])
        vouched = "\n".join(dict.fromkeys(one["vouched_for_by"] for one in step["facts"]))
        caused = [f"→ {status(step)}"] if step["changed_status"] else []
        caused += [f"{one['type']} {one['review'] or ''}".rstrip() for one in step["events"]]
        rows.append((str(step["version"]), step["at"], facts, who(step["by"]) or vouched, "\n".join(caused)))
    shown: list[Any] = [table(("version", "at", "fact", "vouched for by", "caused"), rows, title=of["order_id"])]
    if of["exact"]:
        return [*shown, "Decided again, this gives the record exactly as it is stored."]
    return [*shown, f"[yellow]Decided again, this does not give the stored record: {'; '.join(of['differs'])}.[/]"]


def who(by: Document | None) -> str:
    """Return who decided, and why."""
    return "" if by is None else f"{by['session']} ({by['role']}): {by['cause']}, {by['ticket']}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> Table:
    """Return a table without lines."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        drawn.add_column(column, overflow="fold", no_wrap=column not in _PROSE)
    for row in rows:
        drawn.add_row(*row)
    return drawn


def _facts(of: Document) -> str:
    why = f" ({of['reason'] or of['code']})" if of["reason"] or of["code"] else ""
    return ", ".join(of["facts"]) + escape(why)


def _role(of: Document) -> str:
    if of["stands"]:
        return "[green]stands[/]"
    if of["holds_money"]:
        return "[bold red]holds money, does not stand[/]"
    return "alive" if of["alive"] else "returned" if of["refunded"] else "-"


def _fact(one: Document) -> str:
    amount = money(one.get("amount"), one.get("currency")) if one.get("currency") else ""
    return " ".join(part for part in (one["fact"], one.get("state", ""), one["about"], amount) if part)
