"""Commands that ask about a run: what became of somebody or something, and where a job would go."""

# ruff: noqa: PLC0415 - that is how each command imports only what it needs
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simroom.cli.app import SEED_MAX, Force, NoColour, Scenario, Seed, app


@app.command(
    epilog="Exit codes: 0 told, 2 wrong usage or an unknown name, 3 could not run, 4 nothing found, 70 a fault of "
    "simroom, 130 interrupted."
)
def explain(
    target: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run folder, or a scenario file (YAML).", show_default=False),
    ],
    utterance: Annotated[
        str | None,
        typer.Option(metavar="ROOM/MEMBER#INDEX", help="One utterance: standup-3/mei#17, or SESSION#INDEX."),
    ] = None,
    job: Annotated[str | None, typer.Option(metavar="JOB", help="One job, by its id: job-42.")] = None,
    member: Annotated[
        str | None, typer.Option(metavar="NAME", help="Somebody at an instant (--at): where they are, what they hear.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="With --member: when, as 65s or 01:05.000. With --utterance: the first that arrives then or later.",
        ),
    ] = None,
    violation: Annotated[
        int | None, typer.Option(metavar="N", help="What violation N is about, numbered from 1.")
    ] = None,
    slowest: Annotated[bool, typer.Option("--slowest", help="The delivery with the greatest latency.")] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=SEED_MAX, help="Of a scenario: where all chance comes from. Default: its own.", metavar="N"
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Of a scenario: change one key. Repeatable.",
            envvar="SIMROOM_EXPLAIN_SET",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FACTORY", help="The scheduler of your own that was run."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_EXPLAIN_JSON"),
    ] = False,
    no_color: NoColour = False,
    force: Force = False,
) -> None:
    """Run a run again, and tell the life of one thing in it, step by step."""
    from simroom.cli import explain as command

    options = command.Options(
        run=target,
        utterance=utterance,
        job=job,
        member=member,
        at=at,
        violation=violation,
        slowest=slowest,
        seed=seed,
        overrides=tuple(overrides or ()),
        scheduler=scheduler,
        as_json=as_json,
        colour=not no_color,
        force=force,
    )
    raise typer.Exit(command.explain(options))


@app.command(
    epilog="Exit codes: 0 answered, 2 wrong usage or an unknown name, 3 could not run or ask, 70 a fault of simroom."
)
def dispatch(
    scenario: Scenario,
    at: Annotated[str, typer.Option(metavar="TIME", help="When, as 65s or 01:05.000 from time 0.", show_default=False)],
    src_lang: Annotated[
        str | None, typer.Option("--from", metavar="LANG", help="Language spoken. Default: the session's.")
    ] = None,
    tgt_lang: Annotated[
        str | None, typer.Option("--to", metavar="LANG", help="Language wanted. Default: the session's.")
    ] = None,
    room: Annotated[str | None, typer.Option(metavar="ROOM", help="As in this room: its sticky node counts.")] = None,
    session: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="As from this session: its languages, features, paired and sticky node."),
    ] = None,
    features: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Optional features. Default: the session's, or none.")
    ] = None,
    seed: Seed = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key. Repeatable.", envvar="SIMROOM_DISPATCH_SET"),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="MODULE:FACTORY", help="A scheduler of your own, if it has a dry run.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON to stdout, and nothing else there.", envvar="SIMROOM_DISPATCH_JSON"),
    ] = False,
    no_color: NoColour = False,
    force: Force = False,
) -> None:
    """Ask where a job would go at one instant, and why not elsewhere; nothing is placed."""
    from simroom.cli import dispatch as command

    options = command.Options(
        scenario=scenario,
        at=at,
        src_lang=src_lang,
        tgt_lang=tgt_lang,
        room=room,
        session=session,
        features=features,
        seed=seed,
        overrides=tuple(overrides or ()),
        scheduler=scheduler,
        as_json=as_json,
        colour=not no_color,
        force=force,
    )
    raise typer.Exit(command.dispatch(options))
