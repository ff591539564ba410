"""The command line: all commands, and leaving with an exit code.

Only typer is imported here, so that ``--help`` and shell completion answer at once; each command imports its own work.
"""

# ruff: noqa: PLC0415 - what only a mishap needs is imported then
from __future__ import annotations

import sys
from typing import Annotated

import typer

from simroom import __version__
from simroom.cli import asking, exits, proving, regressing, running
from simroom.cli.app import app

MODULES = (running, asking, proving, regressing)
"""Where the commands are, in the order in which help lists them; importing a module registers its commands."""

app.registered_commands.sort(
    key=lambda command: [module.__name__ for module in MODULES].index(str(getattr(command.callback, "__module__", "")))
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"simroom {__version__}")
        raise typer.Exit


@app.callback(epilog="Every option of a command can be set by its environment twin: SIMROOM_RUN_SEED=7 is --seed 7.")
def _simroom(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True, show_envvar=False),
    ] = False,
) -> None:
    """Simulate and load-test the scheduling and room routing of live speech translation."""


def main() -> None:
    """Run the command line, and leave with one of ``exits``; never with a traceback."""
    try:
        app()
    except exits.StopError as stop:
        from simroom.report.console import complain

        complain(str(stop))
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    except Exception as error:
        from simroom.cli.crash import tell

        tell(error)
        sys.exit(exits.CRASHED)
