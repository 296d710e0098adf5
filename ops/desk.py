"""What every command shares: its options, how it asks before it changes anything, and how it tells what it did."""

import functools
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import click
from rich.console import Console, RenderableType
from rich.progress import Progress

from ops.cloud import LOCAL, RUN_DIR, Cloud
from ops.errors import OpsError
from payments.core.model import ORDER_ID, Cause

TICKET: Final = r"[A-Za-z0-9-]{1,40}"
"""The ticket that explains a decision: an id and no text, which could contain anything."""


@dataclass(frozen=True)
class Desk:
    """The stage that a command works on, and the terminal that it talks to."""

    cloud: Cloud
    as_json: bool
    assume_yes: bool
    console: Console
    """For people."""
    aside: Console
    """For progress, on the standard error, so that it never mixes with the output."""

    def tell(self, document: Mapping[str, Any], *shown: RenderableType) -> None:
        """Print the result: the document with `--json`, and otherwise what is shown to a person."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2))
            return
        for one in shown:
            self.console.print(one)

    def confirm(self, what: str) -> None:
        """Ask whether to go on, unless `--yes` was given.

        Raises:
            OpsError: nobody is there to ask, or the answer is no.
        """
        if self.assume_yes:
            return
        cloud = self.cloud
        who = f"{cloud.operator.session} ({cloud.operator.role})"
        try:
            agreed = click.confirm(f"{what}\nStage {cloud.stage}, region {cloud.region}, as {who}. Go on?", err=True)
        except click.Abort:
            raise OpsError("Nothing was changed: nobody answered. A script says --yes.") from None
        if not agreed:
            raise OpsError("Nothing was changed.")

    def progress(self) -> AbstractContextManager[Progress | None]:
        """Return a progress bar on the standard error; none where that is no terminal."""
        return Progress(console=self.aside, transient=True) if self.aside.is_terminal else nullcontext()


def command(
    name: str, *, into: click.Group | None = None, changes: bool = False
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function that takes a `Desk` and its own parameters.

    Args:
        name: what to type.
        into: the group of commands that it belongs to, if there is one.
        changes: whether it may change anything, and so asks first.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(  # noqa: PLR0913 - the options that every command has
            stage: str,
            profile: str | None,
            region: str | None,
            run_dir: Path,
            *,
            as_json: bool,
            yes: bool = False,
            **own: Any,  # noqa: ANN401 - the command's own parameters
        ) -> None:
            try:
                cloud = Cloud.of(stage, profile=profile, region=region, run_dir=run_dir)
                function(Desk(cloud, as_json, yes, _console(), _console(stderr=True)), **own)
            except OpsError as error:
                if not as_json:
                    raise click.ClickException(str(error)) from error
                click.echo(json.dumps({"error": str(error)}))
                raise click.exceptions.Exit(1) from error

        for option in [*_COMMON, *([_YES] if changes else [])]:
            run = option(run)
        made = click.command(name)(run)
        if into is not None:
            into.add_command(made)
        return made

    return decorate


def order_argument(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take an order's id, which is checked before anything is asked."""

    def check(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
        if not ORDER_ID.match(value):
            raise click.BadParameter(f"{value!r} is no order id: one looks like order_DESlLckIVRkHWj.")
        return value

    return click.argument("order_id", metavar="ORDER", callback=check)(function)


def mandated(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command ask why. It receives `by`: the cause and the ticket. Who it is, AWS says (`Cloud.operator`)."""

    @functools.wraps(function)
    def run(*arguments: Any, cause: str, ticket: str, **own: Any) -> None:  # noqa: ANN401 - the command's own parameters
        function(*arguments, by={"cause": cause, "ticket": ticket}, **own)

    why = click.option("--cause", type=click.Choice(get_args(Cause)), required=True, help="Why.")
    return why(ticket_option(run))


def ticket_option(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the id of a ticket, which is no text."""

    def check(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
        if not re.fullmatch(TICKET, value):
            raise click.BadParameter("a ticket's id has up to 40 letters, digits and hyphens, and no text.")
        return value

    return click.option(
        "--ticket", callback=check, required=True, help="The ticket that explains it, such as OPS-123."
    )(function)


_PIPE_WIDTH: Final = 200
_COMMON: Final = (
    click.option("--run-dir", envvar="OPS_RUN_DIR", type=click.Path(path_type=Path), default=RUN_DIR, hidden=True),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option(
        "--region", envvar="AWS_DEFAULT_REGION", help="The AWS region. By default the profile's, or ap-south-1."
    ),
    click.option("--profile", envvar="AWS_PROFILE", help="The profile of the AWS credentials."),
    click.option(
        "--stage",
        envvar="STAGE",
        required=True,
        help=f"Such as staging; `{LOCAL}` is what `make run` serves. Or set STAGE.",
    ),
)
_YES: Final = click.option("--yes", is_flag=True, help="Do not ask.")


def _console(*, stderr: bool = False) -> Console:
    # As sandbox/terminal.py: rich alone would keep bold and dim.
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("CLICOLOR") == "0"
    # In a pipe there is no width to keep to, and lines that are broken cannot be searched.
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(highlight=False, stderr=stderr, width=width, color_system=None if plain else "auto")
