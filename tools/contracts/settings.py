"""The table of settings in docs/settings.md, found by trying each setting with each function."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from payments.adapters.config import (
    DEFAULTS,
    create_order_settings,
    outbox_settings,
    reconcile_settings,
    refund_settings,
    verify_settings,
    webhook_settings,
)
from payments.core.errors import ConfigurationError
from payments.core.model import Model
from sandbox.cloud.build import PROJECT

PAGE: Final = PROJECT / "docs/settings.md"
BEGIN, END = "<!-- settings: written by `make contracts` -->", "<!-- end of settings -->"
WORDS: Final = Path(__file__).with_name("settings.yaml")

type Reader = Callable[[Mapping[str, str]], Model]
_READERS: Final[Mapping[str, Reader]] = {
    "create_order": create_order_settings,
    "verify": verify_settings,
    "webhook": webhook_settings,
    "refund": refund_settings,
    "outbox": outbox_settings,
    "reconcile": reconcile_settings,
}
_NOTHING: Final = "none"


class _Asked(dict[str, str]):
    """Settings that record which were read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - dict's signature
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)


def page() -> str:
    """The text of docs/settings.md, with the table between its markers.

    Raises:
        ValueError: settings.yaml and the code have different settings, or the page has no markers.
    """
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks one of the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{''.join(table())}\n{END}{after}"


def table() -> Iterator[str]:
    """The lines of the table."""
    words: dict[str, dict[str, Any]] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    elsewhere = {name for name, its in words.items() if "functions" in its}
    differing = (_asked_for() | DEFAULTS.keys()) ^ (words.keys() - elsewhere)
    if differing:
        raise ValueError(f"{WORDS.name} and the code differ in {', '.join(sorted(differing))}")
    yield "| variable | default | functions | meaning |\n| --- | --- | --- | --- |\n"
    for name, its in words.items():
        functions = its.get("functions") or [function for function in _READERS if _counts(name, its, function)]
        if not functions:
            raise ValueError(f"{name} is read by no function")
        without = its.get("default") or DEFAULTS.get(name)
        default = f"`{without}`" if without else "required" if _is_required(name, its) else _NOTHING
        shown = "all" if list(functions) == list(_READERS) else ", ".join(functions)
        yield f"| `{name}` | {default} | {shown} | {its['meaning']} |\n"


def _asked_for() -> set[str]:
    """Every setting that any function reads, for each kind of token key."""
    names: set[str] = set()
    for algorithm in ("HS256", "RS256"):
        for read in _READERS.values():
            values = _Asked(_surroundings({"JWT_ALGORITHM": algorithm}))
            _read(read, values)
            names |= values.names
    return names


def _random(name: str) -> str:
    """A fixed, unguessable-looking text."""
    return hashlib.sha256(name.encode()).hexdigest()[:40]


def _surroundings(more: Mapping[str, str]) -> dict[str, str]:
    """Settings with which every function can start."""
    secrets = ("RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET", "JWT_SECRET")
    return {
        "PAYMENTS_TABLE": "payments-staging",
        "EVENT_BUS": "payments-staging",
        "STAGE": "staging",
        "RAZORPAY_KEY_ID": "rzp_test_B4mXc6gRt0vNj2",
        # With it, refund checks tokens like the others.
        "REFUND_SCOPE": "payments:refund",
        **{name: _random(name) for name in secrets},
        **more,
    }


def _read(read: Reader, values: Mapping[str, str]) -> Model | tuple[str, ...]:
    """A function's settings, or their errors."""
    try:
        return read(values)
    except ConfigurationError as error:
        return error.problems


def _results(name: str, its: Mapping[str, Any], function: str) -> list[Model | tuple[str, ...]]:
    """A function's settings with one value, with another, and without any."""
    one, another = its.get("values", [_random(f"one {name}"), _random(f"another {name}")])
    surroundings = _surroundings(its.get("within", {}))
    read = _READERS[function]
    return [_read(read, {**surroundings, name: value}) for value in (one, another, "")]


def _counts(name: str, its: Mapping[str, Any], function: str) -> bool:
    one, *others = _results(name, its, function)
    return any(other != one for other in others)


def _is_required(name: str, its: Mapping[str, Any]) -> bool:
    """Whether a function that uses it cannot start without it, whatever else is set."""
    return "within" not in its and any(
        isinstance(_results(name, its, function)[-1], tuple) for function in _READERS if _counts(name, its, function)
    )
