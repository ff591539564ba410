"""Whole worlds: the same seed gives the same run, parts do not disturb each other, and every run ends."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from simroom.oracle.ledger import NONE, JobEnd
from simroom.scheduler.messages import JobAssign, JobResult
from simroom.sim.run import SLICE_COUNT, Progress, RunData, simulate

from .worlds import SECOND, Data, loaded, tapped

REPOSITORY = Path(__file__).resolve().parents[2]

TURNS = {"turn_taking": {"utterance": {"uniform": {"from": "200ms", "to": "3s"}}, "overlap": 0}}
LIVELY: Data = {
    "simroom": 1,
    "name": "lively",
    "lead_in": "20s",
    "duration": "40s",
    "drain": "1min",
    "rooms": [
        {
            "name": "large",
            "members": [
                {"name": "mei", "speaks": "zh"},
                {"name": "anna", "speaks": "en", "events": [{"every": {"exponential": {"mean": "9s"}}, "drop": "1s"}]},
                {"name": "yuki", "speaks": "ja"},
            ],
            "speech": TURNS,
        },
        {
            "name": "pair",
            "count": 2,
            "members": [{"name": "bo", "speaks": "zh"}, {"name": "carl", "speaks": "en"}],
            "speech": TURNS,
        },
    ],
    "sessions": [
        {
            "name": "solo",
            "count": 2,
            "src_lang": "zh",
            "tgt_lang": "en",
            "speech": {"arrivals": {"poisson": "20/min"}, "utterance": {"uniform": {"from": "200ms", "to": "3s"}}},
        },
    ],
    "nodes": [
        {
            "name": "node",
            "count": 2,
            "slots": 8,
            "service": {"asr": {"rtf": 0.2, "spread": 0.2}, "nmt": {"fixed": "100ms"}},
            "heartbeat": {"every": "3s"},
        },
    ],
    "network": {
        "session": {"delay": {"uniform": {"from": "5ms", "to": "120ms"}}},
        "node": {"delay": {"uniform": {"from": "1ms", "to": "9ms"}}},
    },
    "scheduler": {"reconnect_grace": "5s", "tie_break": "random"},
}
"""Everything that draws chance, half a minute of it."""


def run_of(data: Data, seed: int = 1) -> RunData:
    run = simulate(loaded(data), seed=seed)
    assert run.verdict.violations == ()
    return run


def rows(run: RunData) -> dict[str, list[int]]:
    """Everything in the ledger."""
    tables = {"utterance": run.ledger.utterances(), "job": run.ledger.jobs(), "delivery": run.ledger.deliveries()}
    return {f"{table}.{name}": column.tolist() for table, columns in tables.items() for name, column in columns.items()}


def changed(**sections: Any) -> Data:
    """The lively scenario with some sections replaced."""
    return deepcopy(LIVELY) | sections


# --- the same and different


def test_the_same_seed_gives_the_same_run_and_another_seed_another_one() -> None:
    first, again, other = run_of(LIVELY, 1), run_of(LIVELY, 1), run_of(LIVELY, 2)
    assert first.verdict.created > 50
    assert first.trace_hash == again.trace_hash
    assert rows(first) == rows(again)
    assert other.trace_hash != first.trace_hash
    assert rows(other) != rows(first)


def test_the_seed_of_the_file_is_taken_where_no_other_is_given() -> None:
    assert simulate(loaded(changed(seed=2))).trace_hash == run_of(LIVELY, 2).trace_hash


def test_the_trace_hash_does_not_depend_on_the_process_or_its_hash_seed() -> None:
    """Twelve random scenarios, in two processes that order their sets differently."""
    program = (
        "from tests.sim.fuzzing import scenario\n"
        "from tests.sim.worlds import outcome\n"
        "print([outcome(scenario(number), number).run.trace_hash for number in range(12)])\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    told = [child.communicate(timeout=60)[0] for child in children]
    assert told[0] == told[1]
    assert len(set(json.loads(told[0].replace("'", '"')))) == 12


def said_by(run: RunData) -> dict[str, list[tuple[int, int]]]:
    """When each speaker's utterances began and ended."""
    utterances = run.ledger.utterances()
    found: dict[str, list[tuple[int, int]]] = {}
    for speaker, begun, ended in zip(
        utterances["speaker"].tolist(), utterances["started_at"].tolist(), utterances["ended_at"].tolist(), strict=True
    ):
        found.setdefault(run.ledger.sessions.names[speaker], []).append((begun, ended))
    return found


def _without_large(data: Data) -> None:
    del data["rooms"][0]


def _one_pair_fewer(data: Data) -> None:
    data["rooms"][1] |= {"count": 3}


def _without_sessions(data: Data) -> None:
    data["sessions"] = []


def _more_nodes(data: Data) -> None:
    data["nodes"][0]["count"] = 5


def _slower_network(data: Data) -> None:
    data["network"] = {"session": {"delay": "300ms"}}


@pytest.mark.parametrize("change", [_without_large, _one_pair_fewer, _without_sessions, _more_nodes, _slower_network])
def test_whoever_else_is_there_and_however_fast_it_is_everybody_says_the_same(change: Callable[[Data], None]) -> None:
    data = deepcopy(LIVELY)
    data["rooms"][1]["count"] = 4
    # Without drops, so that what is said hangs on nothing but chance.
    del data["rooms"][0]["members"][1]["events"]
    before = said_by(run_of(data))
    change(data)
    after = said_by(run_of(data))
    common = before.keys() & after.keys()
    assert len(common) >= 6
    assert {name: before[name] for name in common} == {name: after[name] for name in common}


def test_two_policies_meet_the_same_work() -> None:
    """The length of a job is a matter of its utterance, language and attempt, not of the node or the order."""

    def work(tie_break: str) -> list[tuple[int, ...]]:
        run = run_of(changed(scheduler={"tie_break": tie_break}))
        jobs = run.ledger.jobs()
        columns = (jobs["utterance"], jobs["tgt_lang"], jobs["asr_time"], jobs["nmt_time"])
        return sorted(zip(*(column.tolist() for column in columns), strict=True))

    assert work("first") == work("rotate")


# --- exact


def test_the_time_that_jobs_spend_at_nodes_is_the_integral_of_their_number() -> None:
    """Little's law on a path that begins and ends empty: from the messages at the port, and from the ledger."""
    run, tap = tapped(LIVELY)
    steps = [(at, 1) for at, _ in tap.told(JobAssign)] + [(at, -1) for at, _ in tap.heard(JobResult)]
    area = number = last = 0
    for at, step in sorted(steps):
        area += number * (at - last)
        number += step
        last = at
    assert number == 0
    jobs = run.ledger.jobs()
    assert (jobs["attempts"] == 1).all()
    assert area == int((jobs["answered_at"] - jobs["dispatched_at"]).sum())


def test_the_parts_of_a_delivery_follow_each_other() -> None:
    run = run_of(LIVELY)
    jobs, deliveries, utterances = run.ledger.jobs(), run.ledger.deliveries(), run.ledger.utterances()
    of_job = {name: column[jobs["utterance"]] for name, column in utterances.items()}
    assert (of_job["started_at"] < of_job["ended_at"]).all()
    assert (of_job["ended_at"] < of_job["received_at"]).all()
    assert (of_job["received_at"] <= jobs["dispatched_at"]).all()
    assert (jobs["dispatched_at"] < jobs["started_at"]).all()
    service = jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"]
    assert (jobs["started_at"] + service < jobs["answered_at"]).all()
    assert (jobs["answered_at"] <= jobs["ended_at"]).all()
    assert (jobs["ended_at"][deliveries["job"]] < deliveries["arrived_at"]).all()
    assert jobs["recipients"].sum() >= len(deliveries["job"])


def unfolded(data: Data, at: str) -> Data:
    """The same, but so that nothing can be foreseen: after the end everybody closes and every node goes."""
    data = deepcopy(data)
    for person in [member for room in data["rooms"] for member in room["members"]] + data["sessions"]:
        person["events"] = [*person.get("events", []), {"at": at, "close": {}}]
    for node in data["nodes"]:
        node.setdefault("leaves", at)
    return data


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("ordering", ["strict", "none"])
@pytest.mark.parametrize("bound", [None, 0, 2])
def test_what_is_foreseen_comes_out_as_what_is_played_step_by_step(seed: int, ordering: str, bound: int | None) -> None:
    data = changed(scheduler={"ordering": ordering, "load": "reported"})
    if bound is not None:
        data["nodes"][0]["queue_count_max"] = bound
    folded, played = run_of(data, seed), run_of(unfolded(data, "90s"), seed)
    assert played.events > folded.events
    assert rows(played) == rows(folded)
    assert played.trace_hash == folded.trace_hash


# --- every run ends


@pytest.mark.parametrize("on_no_node", ["reject", "queue"])
def test_a_run_ends_although_every_job_is_refused(on_no_node: str) -> None:
    data = changed(scheduler={"on_no_node": on_no_node, "waiting_time_max": "7s"})
    data["nodes"][0]["pairs"] = ["ko>nl"]
    run = run_of(data)
    assert not run.undrained
    assert run.ended_at <= run.time_zero + (40 + 8) * SECOND
    end = "rejected" if on_no_node == "reject" else "expired"
    assert run.verdict.ends[end] == run.verdict.created > 50
    assert run.verdict.living == 0
    assert run.ledger.delivery_count == 0
    jobs = run.ledger.jobs()
    assert set(jobs["node"].tolist()) == {NONE}
    assert set(jobs["end"].tolist()) == {JobEnd[end.upper()]}


def test_a_run_ends_although_no_node_ever_comes() -> None:
    run = run_of(changed(nodes=[]))
    assert run.verdict.refusals == {"OFFLINE": run.verdict.created}
    assert run.ended_at <= run.time_zero + 41 * SECOND


def test_a_run_in_which_nobody_speaks_has_nothing_in_it() -> None:
    data = deepcopy(LIVELY)
    for group in (*data["rooms"], *data["sessions"]):
        group["speech"] = "none"
    run = run_of(data)
    assert (run.verdict.created, run.ledger.utterance_count, run.ledger.delivery_count) == (0, 0, 0)
    assert run.ended_at == run.time_zero + 40 * SECOND
    assert run.trace_hash == run_of(data).trace_hash


def test_a_run_ends_although_a_result_waits_for_ever_for_its_turn() -> None:
    """Strict order, and the first utterance's node never answers in time."""
    data = changed(scheduler={"ordering": "strict", "job_timeout": "10s", "max_attempts": 2}, sessions=[])
    data["rooms"] = data["rooms"][:1]
    data["nodes"] = [{"name": "slow", "count": 2, "service": {"empirical": ["100ms", "5min"]}, "gpu": {"streams": 4}}]
    run = run_of(data)
    assert not run.undrained
    assert run.verdict.ends["expired"] > 0
    assert run.verdict.ends["delivered"] > 0


def test_without_a_drain_the_run_stops_with_the_speech_and_says_what_is_left() -> None:
    data = changed(drain="0s")
    data["nodes"][0]["service"] = "2s"
    run = run_of(data)
    assert run.undrained
    assert run.ended_at == run.time_zero + 40 * SECOND
    assert run.verdict.living > 0
    jobs = run.ledger.jobs()
    assert (jobs["end"] == JobEnd.LIVING).sum() == run.verdict.living
    assert run.verdict.created == run.verdict.living + sum(run.verdict.ends.values())


def test_what_is_left_after_the_longest_drain_is_told_too() -> None:
    data = changed(drain="3s")
    data["nodes"][0]["service"] = "25s"
    run = run_of(data)
    assert run.undrained
    assert run.ended_at == run.time_zero + 43 * SECOND


def test_a_run_that_has_drained_early_ends_early() -> None:
    run = run_of(LIVELY)
    assert not run.undrained
    assert run.ended_at < run.time_zero + 50 * SECOND
    assert run.verdict.living == 0


# --- interrupted


def interrupted_at(data: Data, call: int) -> RunData:
    """Run it, and have the user interrupt in the given call of the progress."""
    told: list[Progress] = []

    def progress(at: Progress) -> None:
        told.append(at)
        if len(told) == call:
            raise KeyboardInterrupt

    run = simulate(loaded(data), progress=progress)
    assert run.ended_at == told[-1].simulated_time
    return run


@pytest.mark.parametrize("call", [1, 40, 80, 120, 160, 200])
def test_an_interrupted_run_returns_what_has_happened_so_far(call: int) -> None:
    whole = run_of(LIVELY)
    run = interrupted_at(LIVELY, call)
    assert run.interrupted
    assert run.verdict.violations == ()
    assert run.ended_at < 60 * SECOND or call == 200
    assert run.verdict.created == run.verdict.living + sum(run.verdict.ends.values()) == run.ledger.job_count
    said, all_said = run.ledger.utterances(), whole.ledger.utterances()
    count = int((all_said["ended_at"] <= run.ended_at).sum())
    assert said["ended_at"].tolist() == all_said["ended_at"][:count].tolist()
    ended, all_ended = run.ledger.jobs(), whole.ledger.jobs()
    over = all_ended["ended_at"] <= run.ended_at
    for name in ended:
        assert ended[name][ended["end"] != JobEnd.LIVING].tolist() == all_ended[name][over].tolist(), name
    assert all(node.ready_time >= 0 for node in run.nodes)


@pytest.mark.parametrize("call", [80, 120, 160])
def test_an_interrupted_run_tells_nothing_of_the_future_and_misses_nothing_that_is_on_its_way(call: int) -> None:
    data = changed(network={"session": {"delay": "800ms"}})
    folded, played = interrupted_at(data, call), interrupted_at(unfolded(data, "90s"), call)
    assert folded.verdict.violations == played.verdict.violations == ()
    assert folded.ledger.deliveries()["arrived_at"].max(initial=0) <= folded.ended_at
    assert rows(folded) == rows(played)
    results = int(folded.ledger.jobs()["recipients"].sum())
    assert results > folded.ledger.delivery_count, "nothing was on its way"


def test_sigint_stops_a_run_between_two_entries() -> None:
    """In a process of its own, interrupted while time passes; what it returns is consistent."""
    program = (
        "import json, sys\n"
        "from simroom.sim.run import simulate\n"
        "from tests.sim.test_world import LIVELY\n"
        "from tests.sim.worlds import loaded\n"
        "told = []\n"
        "def progress(at):\n"
        "    if not told:\n"
        "        told.append(print('running', flush=True))\n"
        "run = simulate(loaded(LIVELY | {'duration': '100h'}), progress=progress)\n"
        "verdict = run.verdict\n"
        "accounted = verdict.living + sum(verdict.ends.values())\n"
        "books = [verdict.created, accounted, run.ledger.job_count]\n"
        "print(json.dumps([run.interrupted, verdict.violation_count, run.ended_at, *books]))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGINT)
    told, _ = child.communicate(timeout=60)
    interrupted, violations, ended_at, created, accounted, noted = json.loads(told)
    assert child.returncode == 0
    assert interrupted
    assert violations == 0
    assert 0 < ended_at < 100 * 3600 * SECOND
    assert created == accounted == noted


def test_a_run_leaves_the_process_as_it_found_it() -> None:
    handler, thresholds = signal.getsignal(signal.SIGINT), gc.get_threshold()
    interrupted_at(LIVELY, 3)
    assert signal.getsignal(signal.SIGINT) is handler
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() == 0


def test_a_run_may_be_made_in_any_thread() -> None:
    """Where signals cannot be caught."""
    found: list[str] = []
    thread = Thread(target=lambda: found.append(run_of(LIVELY).trace_hash))
    thread.start()
    thread.join()
    assert found == [run_of(LIVELY).trace_hash]


# --- told meanwhile


def test_progress_is_told_in_equal_steps_while_people_speak() -> None:
    told: list[Progress] = []
    run = simulate(loaded(LIVELY), progress=told.append)
    assert SLICE_COUNT <= len(told) <= SLICE_COUNT + 2
    assert {each.until for each in told} == {60 * SECOND}
    assert told[-1].simulated_time == 60 * SECOND
    for name in ("simulated_time", "events", "utterances", "jobs", "deliveries"):
        values = [getattr(each, name) for each in told]
        assert values == sorted(values)
    assert told[-1].utterances == run.ledger.utterance_count
    assert run.trace_hash == run_of(LIVELY).trace_hash, "being watched changes nothing"


def test_busy_time_counts_from_the_end_of_the_warm_up_to_the_end_of_the_speech() -> None:
    run = run_of(changed(warm_up="10s"))
    jobs = run.ledger.jobs()
    begin, end = run.time_zero + 10 * SECOND, run.time_zero + 40 * SECOND
    begun = jobs["started_at"]
    ended = begun + jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"]
    for number, node in enumerate(run.nodes):
        here = jobs["node"] == number
        inside = (np.minimum(ended, end) - np.maximum(begun, begin)).clip(0)[here]
        assert node.busy_time == int(inside.sum()) > 0
        assert node.jobs == int(here.sum())
