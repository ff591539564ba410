"""Commands that run, check and show scenarios."""

# ruff: noqa: PLC0415 - that is how each command imports only what it needs
from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from simroom import __version__
from simroom.cli.app import Force, Jobs, NoColour, Own, Quiet, Scenario, Seed, app


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


@app.command(
    epilog="Exit codes: 0 passed, 1 failed, 2 invalid scenario or usage, 3 could not run, 4 inconclusive, "
    "70 a fault of simroom, 130 interrupted. The run folder is written first, whatever the code."
)
def run(
    scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="SCENARIO", help="Scenario file (YAML). Default: a small one to start with.", show_default=False
        ),
    ] = None,
    seed: Seed = None,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run folder goes.")] = Path("reports"),
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the summary to stdout, and nothing else there.", envvar="SIMROOM_RUN_JSON"),
    ] = False,
    quiet: Quiet = False,
    no_color: NoColour = False,
    rows: Annotated[RowsChoice, typer.Option(help="How the rows of deliveries are written.")] = RowsChoice.csv,
    scheduler: Own = None,
    force: Force = False,
    replications: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Run it with so many seeds; every figure gets its interval.", show_default=False
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE", help="Add replications until intervals are so narrow, for example 2%.", show_default=False
        ),
    ] = None,
    replications_max: Annotated[
        int, typer.Option(min=2, metavar="N", help="With --precision: replications at most.")
    ] = 200,
    jobs: Jobs = None,
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
    if replications is not None or precision is not None:
        from simroom.cli import study

        raise typer.Exit(study.study(study.Options(options, replications, precision, replications_max, jobs)))
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


@app.command()
def measures(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAMES...]", help="Measures. Default: all.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", envvar="SIMROOM_MEASURES_JSON")] = False,
    no_color: NoColour = False,
) -> None:
    """Tell what is measured and can be expected: unit, formula, statistics, selectors."""
    from simroom.cli import measures as command

    raise typer.Exit(command.measures(command.Options(tuple(names or ()), as_json=as_json, colour=not no_color)))
