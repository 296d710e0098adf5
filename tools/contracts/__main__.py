"""Writes the published contracts from the code, or with `--check` lists the stale ones and breaking changes."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.cloud.build import PROJECT
from tools.contracts import asyncapi, compatibility, events, openapi, settings, variants


def contracts() -> dict[Path, str]:
    """The text of every wholly or partly generated file."""
    return {
        PROJECT / "docs/openapi.yaml": openapi.document(),
        PROJECT / "docs/asyncapi.yaml": asyncapi.document(),
        **{
            PROJECT / "docs/events" / name: text
            for name, text in {**events.documents(), **variants.documents()}.items()
        },
        settings.PAGE: settings.page(),
    }


def stale(texts: Mapping[Path, str]) -> list[Path]:
    """The files that are missing or stale."""
    return [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def left_over(texts: Mapping[Path, str]) -> list[Path]:
    """The schemas of events that no longer exist."""
    return [path for path in sorted((PROJECT / "docs/events").rglob("*.json")) if path not in texts]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs with these arguments, by default the command line's; returns 1 if `--check` finds something."""
    parser = argparse.ArgumentParser(prog="python -m tools.contracts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if something is stale or breaks")
    options = parser.parse_args(arguments)
    texts = contracts()
    outdated, gone = stale(texts), left_over(texts)
    found = [*outdated, *gone]
    names = ", ".join(str(path.relative_to(PROJECT)) for path in found)
    if options.check:
        if found:
            sys.stderr.write(f"Stale: {names}. Run `make contracts` and commit the result.\n")
            return 1
        broken = compatibility.check(PROJECT / "docs")
        sys.stderr.writelines(f"{problem}\n" for problem in broken)
        return 1 if broken else 0
    for path in gone:
        path.unlink()
    for path in outdated:
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
    sys.stdout.write(f"Written: {names}\n" if found else "Nothing has changed.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
