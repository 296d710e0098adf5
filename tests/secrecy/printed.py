"""What the functions of a local cloud have printed since it started, and the forbidden words in it."""

from typing import TYPE_CHECKING

from sandbox.cloud.service import STACK
from tests.secrecy.words import found

if TYPE_CHECKING:
    from sandbox.cloud.service import LocalService


def printed_by_functions(service: "LocalService") -> list[str]:
    """Every line, except those of foreign functions."""
    # Each begins with the name of its function.
    lines = [line.partition(" ") for line in service.cloud.function_log.read_text(encoding="utf-8").splitlines()]
    return [line for function, _, line in lines if function.startswith(f"{STACK}-")]


def leaks_of_functions(service: "LocalService") -> dict[str, int]:
    """The forbidden words by name, and in which of their lines each was."""
    leaks = {leak: number for number, line in enumerate(printed_by_functions(service)) for leak in found(line)}
    # A failed reconcile run is raised to Lambda by type only, and the runtime prints where: see RunFailed.
    leaks.pop("a stack trace", None)
    return leaks
