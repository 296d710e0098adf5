"""Colours appear only on terminals, and can be turned off."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SAY = "from sandbox.terminal import console; console().print('[bold red]✗[/] [dim]why[/]')"


def said(*, on_a_terminal: bool, **environment: str) -> str:
    clean = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | environment
    if not on_a_terminal:
        done = subprocess.run([sys.executable, "-c", SAY], cwd=PROJECT, env=clean, capture_output=True, check=True)  # noqa: S603 - this interpreter
        return done.stdout.decode()
    terminal, end = pty.openpty()
    subprocess.run([sys.executable, "-c", SAY], cwd=PROJECT, env=clean, stdin=end, stdout=end, check=True)  # noqa: S603 - this interpreter
    os.close(end)
    try:
        return os.read(terminal, 4096).decode()
    finally:
        os.close(terminal)


def test_a_terminal_gets_colours() -> None:
    assert "\x1b[1;31m✗" in said(on_a_terminal=True)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"CLICOLOR": "0"}, {"TERM": "dumb"}])
def test_a_terminal_of_somebody_who_wants_none_gets_plain_text(environment: dict[str, str]) -> None:
    assert said(on_a_terminal=True, **environment) == "✗ why\r\n"


def test_an_empty_no_color_says_nothing() -> None:
    assert "\x1b[" in said(on_a_terminal=True, NO_COLOR="")


def test_what_is_no_terminal_gets_plain_text() -> None:
    assert said(on_a_terminal=False) == "✗ why\n"
