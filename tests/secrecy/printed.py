"""What the functions of a local cloud printed since it was started, and what of that must not have been said."""

from typing import TYPE_CHECKING

from sandbox.cloud.service import STACK
from tests.secrecy.words import found

if TYPE_CHECKING:
    from sandbox.cloud.service import LocalService


def printed_by_functions(service: "LocalService") -> list[str]:
    """Every line, without those of other people's functions."""
    # Each begins with the name of its function.
    lines = [line.partition(" ") for line in service.cloud.function_log.read_text(encoding="utf-8").splitlines()]
    return [line for function, _, line in lines if function.startswith(f"{STACK}-")]


def leaks_of_functions(service: "LocalService") -> dict[str, int]:
    """What must not have been said, by its name, and in which line of theirs it was."""
    leaks = {leak: number for number, line in enumerate(printed_by_functions(service)) for leak in found(line)}
    # A run of reconcile that failed is raised to Lambda, by type alone, and the runtime prints where: see RunFailed.
    leaks.pop("a stack trace", None)
    return leaks
