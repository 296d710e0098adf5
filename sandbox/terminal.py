"""How the sandbox's programs write to a terminal."""

import os

from rich.console import Console


def console() -> Console:
    """A console that shows what it is given: colours and spinner on a terminal, plain text everywhere else.

    `NO_COLOR` (https://no-color.org) and `CLICOLOR=0` mean no escape codes for looks at all: rich alone would keep bold
    and dim. `FORCE_COLOR` asks for colours where there is no terminal, such as in a CI's log.
    """
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("CLICOLOR") == "0"
    return Console(highlight=False, color_system=None) if plain else Console(highlight=False)
