"""``simroom dispatch``: where a job would go at one instant of a scenario, and why not elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import fields

from simroom.cli import estimates, exits, scenarios
from simroom.cli.explain import blamed, check_name, factory_of, instant, progress_line
from simroom.report import figures
from simroom.report.console import console, say, write
from simroom.report.story import dry_run
from simroom.scenario.fields import AUTO, parse_language
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import printable, quoted
from simroom.scenario.schema import Scenario
from simroom.scenario.units import UnfitError
from simroom.scheduler.messages import Features
from simroom.study import told
from simroom.study.dry_run import Job, UnaskableError, ask
from simroom.study.explain import room_names, session_names
from simroom.study.summary import dumps


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        scenario: The file.
        at: A span from time 0, or as a stopwatch shows it.
        src_lang: None: the session's; likewise ``tgt_lang``.
        room: Name of a room; None: none.
        session: Name of a session, ``ROOM/MEMBER`` too; None: none.
        features: Names of optional features, with commas between them; None: the session's.
        seed: None: the scenario's.
        overrides: ``key.path=value`` each.
        scheduler: ``package.module:factory``; None: simroom's.
        as_json: Print JSON to stdout, and nothing else there.
        colour: Whether colours may be used.
        force: Run it however large it is.
    """

    scenario: Path
    at: str
    src_lang: str | None
    tgt_lang: str | None
    room: str | None
    session: str | None
    features: str | None
    seed: int | None
    overrides: tuple[str, ...]
    scheduler: str | None
    as_json: bool
    colour: bool
    force: bool


def dispatch(options: Options) -> int:
    """Run a scenario up to an instant and ask its scheduler where a job would go.

    Returns:
        The exit code: 0 answered, whether or not there is a node for it.

    Raises:
        StopError: It cannot be asked.
    """
    found = scenarios.sound(options.scenario, options.overrides)
    scenario = found.scenario
    job = _job(options, scenario)
    if not options.force:
        estimates.refuse_oversize(options.scenario, scenario)
    seed = scenario.seed if options.seed is None else options.seed
    factory = factory_of(options.scheduler)
    try:
        with blamed(options.scheduler), progress_line(colour=options.colour) as progress:
            answer = ask(scenario, job, seed=seed, scheduler=factory, progress=progress)
    except UnaskableError as error:
        raise exits.StopError(printable(str(error)), exits.COULD_NOT_RUN) from error
    if options.as_json:
        write(sys.stdout, dumps(told.dry_run(answer, job, seed)))
    else:
        say(console(sys.stdout, colour=options.colour), dry_run(answer, job, seed))
    return exits.PASSED


def _job(options: Options, scenario: Scenario) -> Job:
    at = instant(options.at, "--at")
    if not -scenario.lead_in <= at <= scenario.duration:
        span = f"{figures.clock(-scenario.lead_in)} to {figures.clock(scenario.duration)}"
        raise exits.StopError(f"--at: found {quoted(options.at)}, expected an instant from {span}", exits.INVALID)
    if options.session is not None:
        check_name(options.session, "--session", "session", session_names(scenario))
    elif options.src_lang is None or options.tgt_lang is None:
        raise exits.StopError("--from and --to are needed, or a --session that has both", exits.INVALID)
    if options.room is not None:
        check_name(options.room, "--room", "room", room_names(scenario))
    return Job(
        at=at,
        src_lang=_language(options.src_lang, "--from", _spoken_language),
        tgt_lang=_language(options.tgt_lang, "--to", parse_language),
        features=_features(options.features),
        session=options.session,
        room=options.room,
    )


def _spoken_language(value: object) -> str:
    return AUTO if value == AUTO else parse_language(value)


def _language(text: str | None, option: str, parse: Callable[[object], str]) -> str | None:
    try:
        return None if text is None else parse(text)
    except UnfitError as error:
        raise exits.StopError(f"{option}: {error}", exits.INVALID) from error


def _features(text: str | None) -> Features | None:
    if text is None:
        return None
    known = [field.name for field in fields(Features)]
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            meant = nearest(name, known)
            hint = f"did you mean {meant}?" if meant is not None else f"there are {', '.join(known)}"
            raise exits.StopError(f"--features: no feature is called {quoted(name)}; {hint}", exits.INVALID)
    return Features(**dict.fromkeys(wanted, True))
