"""`make bench`: measures the output of `sam build`, prints the results, and writes docs/evidence/performance.md.

Each section of the page is written once measured, so `--only` renews one. Exit status 0: everything was measured,
whatever the figures; the page says which targets are missed. 1: something could not be measured.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from bench import canned, load, measures
from bench.targets import Figure
from sandbox import proxies, terminal
from sandbox.cloud.build import PROJECT, build

PAGE: Final = PROJECT / "docs/evidence/performance.md"
_COLUMNS: Final = ("", "at most", "measured", "")


class Section(NamedTuple):
    """One section of the page."""

    title: str
    about: str
    measure: Callable[[Path, Path, float], list[Figure]]
    """Takes the build, a folder for its files, and the seconds that each level of load lasts."""


SECTIONS: Final = {
    "start": Section(
        "Starting",
        "*ready* is Lambda's Init as deployed, primed: all is loaded and the clients are made. *first answer more* is\n"
        "what a copy of its snapshot then does for the first request of its kind, secrets read.",
        lambda built, scratch, _: measures.starts(canned.all_flows(built, scratch)),
    ),
    "warm": Section(
        "A warm request",
        "Against the recorded base in `bench/targets.py`, of which 2 % more is the most.",
        lambda built, scratch, _: measures.warm(canned.all_flows(built, scratch)),
    ),
    "size": Section("Size", "What a cold start fetches and unpacks.", lambda built, _, __: measures.sizes(built)),
    "load": Section(
        "The local cloud under load",
        "Payments from their order to their confirmation over HTTP, each answer checked. Emulator, functions and\n"
        "client share one machine, so these figures say nothing about Lambda.",
        lambda _, __, seconds: load.measure(seconds),
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Measures the requested sections."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="this section only; may be repeated")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each level of load lasts (default: 10)")
    options = parser.parse_args(arguments)
    console = terminal.console()
    proxies.bypass_for_this_machine()
    failed = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        # A copy, so that a concurrent build changes nothing.
        built = Path(shutil.copytree(build().parent, Path(scratch) / "built"))
        for name in options.only or SECTIONS:
            section = SECTIONS[name]
            console.print(f"{section.title} …")
            try:
                figures = section.measure(built, Path(scratch) / name, options.seconds)
            except Exception:  # noqa: BLE001 - what went wrong is shown, and the other sections go on
                console.print(traceback.format_exc(), markup=False)
                failed.append(name)
                continue
            text = written(section, figures)
            console.print(text, markup=False, soft_wrap=True)
            PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), section, text), encoding="utf-8")
    if failed:
        console.print(f"[bold red]✗[/] Could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


def written(section: Section, figures: Sequence[Figure]) -> str:
    """The section's text with the new measurements."""
    revision = subprocess.run(  # noqa: S603 - our own
        ["git", "-C", str(PROJECT), "describe", "--always", "--dirty"],  # noqa: S607 - git, wherever it is
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    rows = "\n".join(f"| {' | '.join(figure.row())} |" for figure in figures)
    return (
        f"## {section.title}\n\n{section.about}\n\n*Measured {datetime.now(UTC).date()} at {revision}.*\n\n"
        f"| {' | '.join(_COLUMNS)} |\n| --- | ---: | ---: | --- |\n{rows}\n"
    )


def rewritten(page: str, section: Section, text: str) -> str:
    """The page with this text under the section's heading.

    Raises:
        ValueError: there is no such heading.
    """
    head, heading, rest = page.partition(f"## {section.title}\n")
    if not heading:
        raise ValueError(f"the page has no heading {section.title}")
    _, following, others = rest.partition("\n## ")
    return f"{head}{text}{following}{others}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
