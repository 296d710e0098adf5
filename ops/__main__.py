"""The operators' command line: `make ops ARGS="--help"`."""

import sys

import click

from ops.commands import decisions, payments, settlements


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def ops() -> None:
    """Look at payments, and decide what only a person can."""


for _command in (*payments.COMMANDS, *decisions.COMMANDS, *settlements.COMMANDS):
    ops.add_command(_command)


if __name__ == "__main__":
    sys.exit(ops(prog_name="ops"))
