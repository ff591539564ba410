"""Commands that prove something: search for what a scheduler fails, let bugs loose on the oracle."""

# ruff: noqa: PLC0415 - that is how each command imports only what it needs
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simroom.cli.app import SEED_MAX, Jobs, NoColour, Own, Quiet, app


@app.command(
    epilog="Exit codes: 0 nothing found, 1 found something, 2 usage, 3 could not run, 70 a fault of simroom, "
    "130 interrupted. Each finding is written as it is found."
)
def fuzz(
    seeds: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many scenarios. Default: 1,000, or --for.")
    ] = None,
    time_limit: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="For how long, as 60s or 10min.", envvar="SIMROOM_FUZZ_FOR"),
    ] = None,
    start: Annotated[int, typer.Option(min=0, max=SEED_MAX, metavar="SEED", help="The first seed.")] = 1,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="SCENARIO", help="Draw around this one. Default: freely.")
    ] = None,
    scheduler: Own = None,
    bug: Annotated[str | None, typer.Option(metavar="NAME", help="Search with a bug of the bug bank.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where findings go.")] = Path("scenarios/regressions"),
    jobs: Jobs = None,
    max_findings: Annotated[int, typer.Option(min=1, metavar="N", help="End after so many findings.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the same search was stopped.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_FUZZ_JSON")
    ] = False,
    quiet: Quiet = False,
    no_color: NoColour = False,
) -> None:
    """Search for scenarios that a scheduler fails, and cut each down to a few lines."""
    from simroom.cli import fuzz as command
    from simroom.cli.spans import seconds_of

    options = command.Options(
        seeds=seeds,
        seconds=None if time_limit is None else seconds_of(time_limit, "--for"),
        start=start,
        jobs=jobs,
        source=source,
        out=out,
        scheduler=scheduler,
        bug=bug,
        findings_max=max_findings,
        resume=resume,
        as_json=as_json,
        quiet=quiet,
        colour=not no_color,
    )
    raise typer.Exit(command.fuzz(options))


@app.command(
    epilog="Exit codes: 0 proven, 1 a bug was not noticed, the canary passed, or a scenario without a bug raised an "
    "alarm, 2 usage, 70 a fault of simroom, 130 interrupted."
)
def oracle_test(
    bugs: Annotated[str | None, typer.Option(metavar="NAME,NAME", help="Which bugs. Default: all of the bank.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Random scenarios that a bug may take. Default: 500.")
    ] = None,
    clean: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Random scenarios with no bug. Default: 500.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer of both; scenarios stay as large as they are.")] = False,
    jobs: Jobs = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_ORACLE_TEST_JSON"),
    ] = False,
    no_color: NoColour = False,
) -> None:
    """Let every bug of the bug bank loose, and see whether the oracle notices."""
    from simroom.cli import oracle_test as command

    options = command.Options(
        bugs=bugs, seeds=seeds, clean=clean, quick=quick, jobs=jobs, as_json=as_json, colour=not no_color
    )
    raise typer.Exit(command.oracle_test(options))


@app.command(
    epilog="Exit codes: 0 agrees, 1 something differs or is not sharp enough to say, 2 usage, 70 a fault of simroom, "
    "130 interrupted, after telling what was done."
)
def validate_model(
    quick: Annotated[bool, typer.Option("--quick", help="A few queues, in seconds; wider margins.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="Queues with this in their name or group. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, metavar="N", help="Where all chance comes from.")] = 1,
    precision: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Largest standard error, as 0.5%, the default of the long form.")
    ] = None,
    sabotage: Annotated[
        str | None, typer.Option(metavar="HOW", help="Spoil it first: arrivals, slot, report or ties.")
    ] = None,
    jobs: Jobs = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON to stdout.", envvar="SIMROOM_VALIDATE_MODEL_JSON")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table for a page.")] = False,
    no_color: NoColour = False,
) -> None:
    """Hold the simulated world against queues whose answers are known."""
    from simroom.cli import validate_model as command

    options = command.Options(
        quick=quick,
        only=tuple(only or ()),
        seed=seed,
        precision=precision,
        sabotage=sabotage,
        jobs=jobs,
        as_json=as_json,
        markdown=markdown,
        colour=not no_color,
    )
    raise typer.Exit(command.validate_model(options))


@app.command(epilog="Exit codes: 0 fitted, 2 the log does not allow it, 3 could not write, 70 a fault of simroom.")
def calibrate(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="Measured jobs, CSV or JSON lines.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the node there, as YAML for a scenario.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", envvar="SIMROOM_CALIBRATE_JSON")] = False,
    no_color: NoColour = False,
) -> None:
    """Fit a kind of node to a log of measured jobs."""
    from simroom.cli import calibrate as command

    raise typer.Exit(command.calibrate(command.Options(log=log, out=out, as_json=as_json, colour=not no_color)))
