"""Commands that guard against regressions: check many scenarios, keep baselines, compare two ways of running one."""

# ruff: noqa: PLC0415 - that is how each command imports only what it needs
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from simroom.cli.app import Force, Jobs, NoColour, Own, Quiet, Seed, app

BASELINES: Final = Path("reports/baselines")
SCENARIOS: Final = Path("scenarios")

Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATHS...", help="Scenario files, and folders of them. Default: scenarios."),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", "-k", metavar="PATTERN", help="Those whose path is like this. Repeatable."),
]
Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Those with this tag. Repeatable.")]
NotTag = Annotated[list[str] | None, typer.Option("--not-tag", metavar="TAG", help="None with it. Repeatable.")]
ChangedSince = Annotated[
    str | None,
    typer.Option(metavar="REV", help="Those that can come out otherwise since this revision of git."),
]
Budget = Annotated[str, typer.Option(metavar="TIME", help="How long a scenario may take.")]
Baselines = Annotated[Path, typer.Option(metavar="DIR", help="Where baselines are.")]

baseline = typer.Typer(
    name="baseline",
    help="Keep what scenarios come to, for `check --baseline` to hold against.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(baseline)


@app.command(
    epilog="Exit codes: 0 all passed, 1 one failed or took too long, 2 usage or an invalid scenario, 3 could not run, "
    "4 inconclusive or no compatible baseline, 5 nothing selected, 70 a fault of simroom, 130 interrupted; of "
    "several, that of the worst. Reports are written first, whatever the code."
)
def check(
    paths: Paths = None,
    select: Select = None,
    tag: Tag = None,
    not_tag: NotTag = None,
    changed_since: ChangedSince = None,
    replications: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, metavar="N", help="Of each scenario, each with its own seed. Default: 1."),
    ] = None,
    seed: Seed = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key of every scenario.", envvar="SIMROOM_CHECK_SET"
        ),
    ] = None,
    scheduler: Own = None,
    against_baseline: Annotated[
        bool, typer.Option("--baseline", help="Hold them against their baselines.", envvar="SIMROOM_CHECK_BASELINE")
    ] = False,
    baselines: Baselines = BASELINES,
    margin: Annotated[str, typer.Option(metavar="SHARE", help="By how much a figure may be worse.")] = "5%",
    budget: Budget = "10min",
    jobs: Jobs = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", "-x", help="Stop at the first that does not pass.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML here as well.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the folder check/ goes.")] = Path("reports"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_CHECK_JSON")
    ] = False,
    list_all: Annotated[
        bool, typer.Option("--all", help="List all that passed, however many.", envvar="SIMROOM_CHECK_ALL")
    ] = False,
    quiet: Quiet = False,
    no_color: NoColour = False,
    force: Force = False,
) -> None:
    """Run many scenarios, judge them, and say which do not pass and why."""
    from simroom.cli import check as command
    from simroom.cli.spans import seconds_of

    options = command.Options(
        paths=tuple(paths or (SCENARIOS,)),
        select=tuple(select or ()),
        tags=tuple(tag or ()),
        not_tags=tuple(not_tag or ()),
        changed_since=changed_since,
        replications=replications,
        seed=seed,
        overrides=tuple(overrides or ()),
        scheduler=scheduler,
        budget_seconds=seconds_of(budget, "--budget"),
        jobs=jobs,
        fail_fast=fail_fast,
        force=force,
        out=out,
        junit=junit,
        as_json=as_json,
        baselines=baselines if against_baseline else None,
        margin=command.share_of(margin, "--margin"),
        all_passed=list_all,
        quiet=quiet,
        colour=not no_color,
    )
    raise typer.Exit(command.check(options))


@baseline.command(
    epilog="Exit codes: as of check. What does not pass is not kept; baselines are written first, whatever the code."
)
def update(
    paths: Paths = None,
    select: Select = None,
    tag: Tag = None,
    not_tag: NotTag = None,
    changed_since: ChangedSince = None,
    replications: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Of each scenario. Default: 10, or 2 where nothing is by chance."
        ),
    ] = None,
    seed: Seed = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key of every scenario.", envvar="SIMROOM_BASELINE_UPDATE_SET"
        ),
    ] = None,
    scheduler: Own = None,
    baselines: Baselines = BASELINES,
    even_failed: Annotated[bool, typer.Option("--even-failed", help="Keep what does not pass, too.")] = False,
    budget: Budget = "10min",
    jobs: Jobs = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_BASELINE_UPDATE_JSON"
        ),
    ] = False,
    quiet: Quiet = False,
    no_color: NoColour = False,
    force: Force = False,
) -> None:
    """Run scenarios and keep what they come to, in files to be reviewed and committed."""
    from simroom.cli import baseline as command
    from simroom.cli import check as checking
    from simroom.cli.spans import seconds_of

    chosen = checking.Options(
        paths=tuple(paths or (SCENARIOS,)),
        select=tuple(select or ()),
        tags=tuple(tag or ()),
        not_tags=tuple(not_tag or ()),
        changed_since=changed_since,
        replications=replications,
        seed=seed,
        overrides=tuple(overrides or ()),
        scheduler=scheduler,
        budget_seconds=seconds_of(budget, "--budget"),
        jobs=jobs,
        force=force,
        as_json=as_json,
        quiet=quiet,
        colour=not no_color,
    )
    raise typer.Exit(command.update(command.Options(chosen=chosen, baselines=baselines, even_failed=even_failed)))


@baseline.command(epilog="Exit codes: 0 each has one that fits it, 2 usage, 4 some have none, 5 nothing selected.")
def show(
    paths: Paths = None,
    select: Select = None,
    baselines: Baselines = BASELINES,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_BASELINE_SHOW_JSON"
        ),
    ] = False,
    no_color: NoColour = False,
) -> None:
    """Show the baseline of a scenario, or for several whether they have one that fits."""
    from simroom.cli import baseline as command

    options = command.ShowOptions(
        paths=tuple(paths or (SCENARIOS,)),
        select=tuple(select or ()),
        baselines=baselines,
        as_json=as_json,
        colour=not no_color,
    )
    raise typer.Exit(command.show(options))


@app.command(
    epilog="Exit codes: 0 nothing is worse, 1 something is, 2 usage or an invalid scenario, 3 could not run, "
    "4 inconclusive, 70 a fault of simroom, 130 interrupted."
)
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="A run folder or a scenario.", show_default=False)],
    after: Annotated[
        Path | None,
        typer.Argument(metavar="[B]", help="Another one. Default: the scenario A, run otherwise.", show_default=False),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="The second way: change one key.", envvar="SIMROOM_COMPARE_SET"
        ),
    ] = None,
    both: Annotated[
        list[str] | None, typer.Option("--both", metavar="KEY=VALUE", help="Both ways: change one key. Repeatable.")
    ] = None,
    scheduler: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:FACTORY", help="Of the second way; given twice, of each way."),
    ] = None,
    seed: Seed = None,
    replications: Annotated[
        int | None, typer.Option(min=1, max=10_000, metavar="N", help="Of each way, with the same seeds. Default: 10.")
    ] = None,
    margin: Annotated[str, typer.Option(metavar="SHARE", help="By how much a figure may be worse.")] = "5%",
    jobs: Jobs = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_COMPARE_JSON"),
    ] = False,
    no_color: NoColour = False,
    force: Force = False,
) -> None:
    """Compare two run folders, two settings or two schedulers: the first difference, what moved, what is worse."""
    from simroom.cli import check as checking
    from simroom.cli import compare as command

    options = command.Options(
        before=before,
        after=after,
        overrides=tuple(overrides or ()),
        both=tuple(both or ()),
        schedulers=tuple(scheduler or ()),
        seed=seed,
        replications=replications,
        margin=checking.share_of(margin, "--margin"),
        jobs=jobs,
        as_json=as_json,
        colour=not no_color,
        force=force,
    )
    raise typer.Exit(command.compare(options))
