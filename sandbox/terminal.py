"""How the sandbox's programs write to a terminal."""

import os

from rich.console import Console


def console() -> Console:
    """Return a console that uses colours and a spinner on a terminal, and plain text everywhere else.

    `NO_COLOR` (https://no-color.org) and `CLICOLOR=0` turn off all escape codes for styling; rich alone would keep
    bold and dim. `FORCE_COLOR` turns colours on without a terminal, for example in a CI log.
    """
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("CLICOLOR") == "0"
    return Console(highlight=False, color_system=None) if plain else Console(highlight=False)
