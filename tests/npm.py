"""What npm installs, and the Node.js that runs it."""

import subprocess
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]


def install(folder: str) -> None:
    """Installs the packages of a folder of the project, unless they are there."""
    subprocess.run(  # noqa: S603 - our own target
        ["make", "--silent", f"{folder}/node_modules/.package-lock.json"],  # noqa: S607 - as on anybody's PATH
        cwd=PROJECT,
        check=True,
        timeout=300,
    )


def before(path: str) -> str:
    """A PATH with the folder of Node.js and npm in front. The Makefile finds it before it installs anything."""
    return f"{(PROJECT / '.venvs/nodejs').read_text(encoding='utf-8').strip()}:{path}"
