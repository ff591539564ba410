"""The command line: what there is to type, and nothing else; the work is imported by the command that needs it.

Only typer is imported here, so that ``--help`` and shell completion answer at once.
"""

# ruff: noqa: PLC0415 - that is how each command imports only what it needs
from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from simroom import __version__
from simroom.cli import exits

SEED_MAX: Final = 2**63 - 1

app = typer.Typer(
    name="simroom",
    help="Simulate and load-test the scheduling and room routing of live speech translation.",
    no_args_is_help=True,
    # Plain help: rendering it with rich would cost more than all the rest of --help.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SIMROOM"},
)


class RowsChoice(enum.StrEnum):
    """How the rows of deliveries are written."""

    csv = "csv"
    csv_gz = "csv.gz"
    none = "none"


Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key of the scenario, for example rooms.standup.count=40. Repeatable.",
        envvar="SIMROOM_RUN_SET",
    ),
]
Scenario = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file (YAML).", show_default=False)]


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


@app.command(
    epilog="Exit codes: 0 passed, 1 failed, 2 invalid scenario or usage, 3 could not run, 4 nothing to judge, "
    "70 a fault of simroom, 130 interrupted. The run folder is written first, whatever the code."
)
def run(
    scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="SCENARIO", help="Scenario file (YAML). Default: a small one to start with.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=SEED_MAX, help="Where all chance comes from. Default: the scenario's.", metavar="N"),
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run folder goes.")] = Path("reports"),
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the summary to stdout, and nothing else there.", envvar="SIMROOM_RUN_JSON"),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict only, and no progress.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text. NO_COLOR in the environment too.")] = False,
    rows: Annotated[RowsChoice, typer.Option(help="How the rows of deliveries are written.")] = RowsChoice.csv,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FACTORY", help="A scheduler of your own, for example my_package.mine:make."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run it however many events it is estimated to have.")] = False,
) -> None:
    """Simulate a scenario and judge it."""
    from simroom.cli import run as command

    options = command.Options(
        scenario=scenario,
        seed=seed,
        overrides=tuple(overrides or ()),
        out=out,
        as_json=as_json,
        quiet=quiet,
        colour=not no_color,
        rows=rows.value,
        scheduler=scheduler,
        force=force,
    )
    raise typer.Exit(command.run(options))


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Scenario files.", show_default=False)],
) -> None:
    """Check scenario files; tell all that is wrong with them."""
    from simroom.cli import files as command

    raise typer.Exit(command.validate(files))


@app.command()
def inspect(
    scenario: Scenario,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key. Repeatable.", envvar="SIMROOM_INSPECT_SET"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", envvar="SIMROOM_INSPECT_JSON")] = False,
) -> None:
    """Show a scenario with its defaults, and its size."""
    from simroom.cli import files as command

    raise typer.Exit(command.inspect(scenario, tuple(overrides or ()), as_json=as_json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from simroom.cli import files as command

    raise typer.Exit(command.schema())


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"simroom {__version__}")


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
