"""One scenario tried: what is wrong with it, as one value; what raises or never ends has failed too."""

from __future__ import annotations

import resource
from typing import Any

import pytest
from pydantic import ValidationError

from simroom.bugbank import BUGS
from simroom.scheduler.messages import Addressed, Incoming, Utterance
from simroom.scheduler.port import SchedulerPort, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings
from simroom.study.drawing import drawn
from simroom.study.trial import ENDLESS, tried, valid

DATA: dict[str, Any] = {
    "simroom": 1,
    "name": "three",
    "duration": "10s",
    "rooms": [{"name": "r", "members": [{"name": name, "speaks": name} for name in ("en", "zh", "ja")]}],
    "nodes": [{"name": "n", "service": "1s"}],
    "script": [{"at": "1s", "speak": "r/zh"}, {"at": "3s", "speak": "r/en"}],
}


def raising(settings: Settings, sources: Sources) -> SchedulerPort:
    class Raises(Scheduler):
        def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
            if type(message) is Utterance:
                raise LookupError("no such\nroom")
            return super().received(connection, message, now)

    return Raises(settings, sources)


def restless(settings: Settings, sources: Sources) -> SchedulerPort:
    class Restless(Scheduler):
        @property
        def next_deadline(self) -> int | None:
            return 1

    return Restless(settings, sources)


def test_a_sound_scheduler_has_nothing_wrong_with_it() -> None:
    trial = tried(DATA)
    assert not trial.failed
    assert (trial.utterances, trial.jobs, trial.deliveries) == (2, 4, 4)
    assert trial.first is None
    assert trial.judgements["L4"] > 0


def test_a_breach_is_named_by_its_invariant_and_kind() -> None:
    trial = tried(DATA, scheduler=BUGS["everybody_gets_everything"].make)
    assert trial.failed
    assert trial.first == ("I1", "extra")
    assert ("I1", "extra") in trial.signature


def test_a_scheduler_that_raises_has_failed_and_what_it_said_is_on_one_line() -> None:
    trial = tried(DATA, scheduler=raising)
    assert trial.signature == (("crash", "LookupError"),)
    assert trial.error is not None
    assert trial.error.startswith("LookupError: no such room (in received, line ")


def test_a_scheduler_that_never_comes_to_an_end_has_failed() -> None:
    assert tried(DATA, scheduler=restless, patience=1).signature == (ENDLESS,)


def test_what_is_no_scenario_is_refused() -> None:
    assert not valid({**DATA, "duration": "never"})
    with pytest.raises(ValidationError):
        tried({**DATA, "duration": "never"})


def test_many_scenarios_in_one_process_take_no_more_memory_than_a_few() -> None:
    def highest() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for seed in range(60):
        tried(drawn(seed))
    before = highest()
    for seed in range(60, 160):
        tried(drawn(seed))
    assert highest() - before < 60_000, "kilobytes; a world that is kept takes some two megabytes"
