"""Cases from public bug reports, as scenarios: what nodes, service times, storms and metrics come to.

What can be said of the scheduler alone is in ``scheduler/test_cases.py``; ``docs/cases.md`` says where which case is.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest
from msgspec import Struct

from simroom.cli import scenarios
from simroom.scenario.load import load
from simroom.scenario.problems import ScenarioError
from simroom.sim.run import RunData, simulate
from simroom.study.conclusion import Conclusion, conclude
from simroom.study.expect import read_all
from simroom.study.rows import COLUMNS, write_rows
from simroom.study.summary import Source, dumps, summary
from simroom.study.table import Table

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "scenarios" / "cases"
PAGE = ROOT / "docs" / "cases.md"
FILES = sorted(path.stem for path in CASES.glob("*.yaml"))
NUMBERS = range(1, 98, 2)

SWITCHED_OFF = [
    ("01-leave-then-join", "bug=leave_undoes_the_join_after_it"),
    ("03-one-of-two-leaves", "bug=last_subscription_dropped"),
    ("05-result-while-joining", "bug=recipients_frozen"),
    ("07-killed-as-it-takes-a-job", "bug=no_retry"),
    ("09-out-of-memory-once", "scheduler.max_attempts=1"),
    ("11-one-of-eight-fails", "bug=failed_job_blocks_those_behind"),
    ("13-joins-three-times", "bug=rejoining_counts_twice"),
    ("15-waits-in-the-queue", "nodes.node.slots=20"),
    ("15-waits-at-the-node", "scheduler.max_attempts=2"),
    ("17-late-while-waiting", "bug=timed_out_result_refused"),
    ("21-overlapping-languages", "bug=batch_payloads_shifted"),
    ("21-languages-mixed-up", "faults=[]"),
    ("23-two-kinds-of-node", "nodes.batches.pairs=[en>zh]"),
    ("27-code-comes-back", "bug=room_remembered_by_code"),
    ("29-three-nodes-in-order", "bug=no_order"),
    ("29-three-nodes-in-order", "scheduler.ordering=none"),
    ("29-three-nodes-out-of-order", "scheduler.ordering=gap"),
    ("31-slow-reader", "script.0={at: 500ms, slow_reader: {sessions: room, rate: 10B/s}}"),
    ("33-answer-before-question", "nodes.node.count=1"),
    ("37-heartbeats-stop", "scheduler.heartbeat_timeout=5min"),
    ("37-heartbeats-stop", "bug=dispatch_to_node_not_ready"),
    ("39-rooms-fill-at-once", "scheduler.tie_break=first"),
    ("39-rooms-talk-meanwhile", "scheduler.sticky=none"),
    ("41-second-finds-the-slot-taken", "scheduler.load=reported"),
    ("41-second-finds-the-slot-taken", "bug=dispatch_beyond_slots"),
    ("43-tried-again-in-its-place", "bug=slot_leaked_on_failure"),
    ("45-fits-nowhere", "scheduler.on_no_node=reject"),
    ("47-one-floods-all-others-wait", "nodes.node.count=2"),
    ("49-tried-again-comes-last", "bug=newest_waits_least"),
    ("51-stale-close", "bug=stale_close_ends_session"),
    ("53-last-join-wins", "bug=leave_undoes_the_join_after_it"),
    ("55-left-while-i-was-away", "bug=leave_ignored"),
    ("57-nothing-heard-before", "bug=kept_for_nobody"),
    ("57-nothing-heard-before", "scheduler.reconnect_grace=0s"),
    ("59-all-come-back-at-once", "bug=kept_for_nobody"),
    ("59-all-come-back-at-once", "scheduler.reconnect_grace=0s"),
    ("61-as-reported", "scheduler.max_attempts=1"),
    ("61-results-refused", "bug=null"),
    ("61-retry-storm", "scheduler.max_attempts=1"),
    ("61-without-retries", "faults.0.slow.for=5s"),
    ("63-not-the-same-node", "bug=retry_where_it_failed"),
    ("65-zombie-node", "faults=[]"),
    ("67-cancelled-at-the-start", "bug=slot_leaked_on_expiry"),
    ("69-drains-to-the-last", "bug=drain_ends_with_first_job"),
    ("69-drains-to-the-last", "bug=drain_ignored"),
    ("71-closed-before-its-turn", "bug=placed_for_nobody"),
    ("73-equal-times", "nodes.fast.gpu.streams=98"),
    ("75-pooled-quantiles", "sessions.slow.speech.arrivals={constant: 1s}"),
    ("77-unfinished", "drain=5min"),
    ("79-ramp", "warm_up=0s"),
    ("81-wait-and-service", "nodes.node.gpu={model: serial, streams: 10}"),
    ("83-completed-once", "bug=retry_on_same_dead_node"),
    ("83-completed-once", "scheduler.max_attempts=1"),
    ("85-no-slot-for-a-while", "scheduler.on_no_node=reject"),
    ("87-everything-rejected", "scheduler.on_no_node=queue"),
    ("95-rooms-open-and-close", "bug=disconnect_leaves_ghost_member"),
    ("97-join-and-leave", "bug=disconnect_leaves_ghost_member"),
]
"""With this one change a case's scenario must fail: a broken scheduler, another setting, or another world."""


class Lived(Struct, frozen=True):
    """A run, and what it came to."""

    run: RunData
    table: Table
    conclusion: Conclusion


def lived(name: str, *overrides: str) -> Lived:
    """Run a case, perhaps changed."""
    scenario = load(CASES / f"{name}.yaml", overrides=overrides)
    run = simulate(scenario)
    table = Table(run)
    return Lived(run, table, conclude(table, read_all(scenario.expect)[0]))


def heard(run: RunData, name: str) -> list[tuple[float, str, int]]:
    """What a session got, in order of arrival: when (seconds from time 0), whose, which utterance."""
    ledger = run.ledger
    deliveries, jobs, utterances = ledger.deliveries(), ledger.jobs(), ledger.utterances()
    spoken = jobs["utterance"][deliveries["job"]]
    rows = zip(
        deliveries["recipient"].tolist(),
        ((deliveries["arrived_at"] - run.time_zero) / 1_000_000).tolist(),
        utterances["speaker"][spoken].tolist(),
        utterances["utterance_index"][spoken].tolist(),
        strict=True,
    )
    names = ledger.sessions.names
    return [(at, names[speaker], index) for recipient, at, speaker, index in rows if names[recipient] == name]


def fired(run: RunData) -> list[int]:
    """How often each fault struck."""
    return [use.fired_count for use in run.faults]


@pytest.mark.parametrize("name", FILES)
def test_a_case_comes_out_right(name: str) -> None:
    found = scenarios.problems_of(CASES / f"{name}.yaml")
    assert isinstance(found, scenarios.Sound), found
    case = lived(name)
    assert case.conclusion.word == "passed", case.conclusion.reasons
    assert bool(case.run.verdict.violation_count) == (case.run.scenario.bug is not None)
    assert all(outcome.passed for outcome in case.conclusion.outcomes)
    assert len(case.conclusion.outcomes) > 2, "more than that nothing is wrong"
    assert all(fired(case.run)), "a fault that never strikes shows nothing"


@pytest.mark.parametrize(("name", "override"), SWITCHED_OFF)
def test_a_case_fails_when_what_it_shows_is_switched_off(name: str, override: str) -> None:
    assert lived(name, override).conclusion.word == "failed"


def test_every_case_is_known_to_fail_when_something_is_switched_off() -> None:
    assert {name for name, _ in SWITCHED_OFF} == set(FILES)


# --- what no expectation can say ---


def test_one_job_in_five_hundred_runs_out_of_memory_once() -> None:
    """inference-sim/inference-sim#183: 499 of 500 finished and nobody noticed."""
    run = lived("09-out-of-memory-once").run
    assert fired(run) == [1]
    assert sum(node.failed for node in run.nodes) == 1
    assert Counter(run.ledger.jobs()["attempts"].tolist()) == {1: 499, 2: 1}


def test_a_batch_that_runs_out_of_memory_is_tried_again_whole() -> None:
    """opentargets/platform-mcp#24: whoever fails fast fails all."""
    fault = "faults=[{out_of_memory: {nodes: node, share: 10%, lost: batch}}]"
    run = lived("11-one-of-eight-fails", fault, "script.2.speak={member: room/ana, length: 100ms}").run
    jobs = run.ledger.jobs()
    assert fired(run) == [1]
    assert sum(node.failed for node in run.nodes) == 7, "all that were in the batch"
    assert Counter(jobs["attempts"].tolist()) == {1: 1, 2: 7}
    assert run.verdict.ends["delivered"] == 8


def test_what_is_worked_on_again_counts_for_nothing() -> None:
    """celery/celery#2599: jobs that merely waited were executed again, and each execution counted as one."""
    once, again = lived("15-waits-in-the-queue").run, lived("15-waits-at-the-node").run
    assert [node.jobs for node in once.nodes] == [4]
    assert once.verdict.uncounted.get("late", 0) == 0
    (node,) = again.nodes
    extra = node.jobs - 4
    assert extra > 0
    late = again.verdict.uncounted
    assert late["late"] + late.get("unknown", 0) == extra, "each further execution is accounted for"
    assert again.verdict.ends["delivered"] == again.ledger.delivery_count == 4


def test_results_of_three_nodes_come_in_order_or_with_three_inversions() -> None:
    """miguelgrinberg/Flask-SocketIO#1420: 4, 5, 6 arrived as 6, 4, 5."""
    in_order = heard(lived("29-three-nodes-in-order").run, "room/ben")
    assert in_order == [(5.0, "room/ana", 0), (5.0, "room/ana", 1), (5.0, "room/ana", 2)]
    as_they_come = heard(lived("29-three-nodes-out-of-order").run, "room/ben")
    assert as_they_come == [(3.0, "room/ana", 2), (4.0, "room/ana", 1), (5.0, "room/ana", 0)]
    indices = [index for _, _, index in as_they_come]
    assert sum(first > later for place, first in enumerate(indices) for later in indices[place:]) == 3


def test_one_who_reads_slowly_holds_up_none_of_the_sixteen_others() -> None:
    """HKUDS/nanobot#5655: one slow client blocked the fan-out to all."""
    run = lived("31-slow-reader").run
    ends = [second + 1 for second in range(1, 41, 2)]
    for number in range(1, 17):
        assert [at for at, _, _ in heard(run, f"room/listener-{number}")] == [end + 0.5 for end in ends]
    slow = heard(run, "room/slow")
    assert [index for _, _, index in slow] == list(range(20)), "nothing is dropped, and the order is kept"
    assert slow[-1][0] == 60.0, "all that stands in line comes when it reads again"


def test_an_answer_can_be_heard_before_what_it_answers() -> None:
    """tudo-aqua/bgw#465: simroom has no rule for the order between speakers."""
    assert heard(lived("33-answer-before-question").run, "room/cy") == [(3.5, "room/ben", 0), (6.0, "room/ana", 0)]


def rooms_of_nodes(run: RunData) -> list[int]:
    """How many rooms each node got the first job of, in descending order."""
    jobs, utterances = run.ledger.jobs(), run.ledger.utterances()
    first: dict[int, int] = {}
    for place in np.lexsort((jobs["dispatched_at"],)).tolist():
        first.setdefault(int(utterances["speaker"][jobs["utterance"][place]]), int(jobs["node"][place]))
    counts = Counter(first.values())
    return sorted((counts.get(node, 0) for node in range(len(run.nodes))), reverse=True)


@pytest.mark.parametrize(
    ("name", "override", "rooms"),
    [
        ("39-rooms-fill-at-once", "scheduler.tie_break=rotate", [3] * 10),
        ("39-rooms-fill-at-once", "scheduler.tie_break=first", [30] + [0] * 9),
        ("39-rooms-talk-meanwhile", "scheduler.tie_break=rotate", [10, 9, 6, 4, 1, 0, 0, 0, 0, 0]),
    ],
)
def test_rooms_that_open_one_by_one_are_spread_by_whose_turn_it_is(name: str, override: str, rooms: list[int]) -> None:
    """jitsi/jicofo#1300: rooms placed while empty piled up on one node and filled all at once."""
    assert rooms_of_nodes(lived(name, override).run) == rooms


def test_a_zombie_is_given_up_on_only_by_its_slots() -> None:
    """ray-project/ray#61263: a node that passes its pings and fails all work. simroom counts no failures of nodes."""
    run = lived("65-zombie-node").run
    attempts = run.ledger.jobs()["attempts"]
    assert fired(run) == [int((attempts == 2).sum())] == [9], "so many time-outs in 290 s"


def test_unfinished_jobs_are_rows_and_a_run_without_results_is_valid_json(tmp_path: Path) -> None:
    """inference-sim/inference-sim#190: what had not finished was left out, and where nothing had, so was everything."""
    case = lived("77-unfinished")
    file = tmp_path / "deliveries.csv"
    write_rows(case.table, file, "csv")
    heading, *rows = file.read_text(encoding="utf-8").splitlines()
    end = heading.split(",").index("end")
    assert set(COLUMNS) == set(heading.split(","))
    assert Counter(row.split(",")[end] for row in rows) == {"living": 7, "delivered": 1}
    assert sum(case.run.verdict.ends.values()) + case.run.verdict.living == case.run.verdict.created == 8

    nothing = lived("87-everything-rejected")
    text = dumps(summary(nothing.table, nothing.conclusion, Source(name=None, file="x.yaml", hash="0")))
    read = json.loads(text, parse_constant=_refused)
    assert read["counts"]["jobs"]["rejected"] == 10
    latency = read["measures"]["delivery_latency"]
    assert latency["n"] == 0
    assert latency["p95_us"] is None


def _refused(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def test_a_warm_up_that_leaves_nothing_to_measure_is_refused() -> None:
    """microsoft/CCF#8158: a ramp of 32 s in a run of 20 s was counted as steady state."""
    with pytest.raises(ScenarioError, match="warm_up"):
        load(CASES / "79-ramp.yaml", overrides=("warm_up=60s",))


# --- the same scenario, the same run ---

CHANCY = ("09-out-of-memory-once", "39-rooms-talk-meanwhile", "61-as-reported")
HASHES = """
import sys
from pathlib import Path
from simroom.scenario.load import load
from simroom.sim.run import simulate
for name in sys.argv[1:]:
    print(simulate(load(Path(name))).trace_hash)
"""


def hashes_here() -> list[str]:
    """The hash of everything that happens in each of the chancy cases."""
    return [lived(name).run.trace_hash for name in CHANCY]


def test_three_processes_with_different_hash_seeds_live_through_the_same() -> None:
    """dstl/Stone-Soup#1237, UCL/TLOmodel#419: the order of a set decided who got which draw."""
    files = [str(CASES / f"{name}.yaml") for name in CHANCY]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HASHES, *files],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "2")
    ]
    found = {process.communicate(timeout=60)[0] for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert len(found) == 1
    assert found.pop().split() == hashes_here()


def test_what_else_is_drawn_in_the_process_changes_nothing() -> None:
    """INET-Complexity/macro-main#102: one module used the global source of chance."""
    before = hashes_here()
    random.seed(4)
    np.random.seed(4)
    random.random()
    np.random.random(100)
    assert hashes_here() == before


def test_the_time_of_day_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """banshee-data/velocity.report#568: a replay looked at the clock on the wall."""
    before = hashes_here()
    calls = ["time", "time_ns", "localtime", "gmtime", "sleep"]
    for name in calls:
        monkeypatch.setattr(time, name, _clock_of_the_wall(name))
    assert hashes_here() == before
    with pytest.raises(AssertionError):
        time.time()


def _clock_of_the_wall(name: str) -> Callable[..., NoReturn]:
    def looked_at(*_arguments: Any) -> NoReturn:
        raise AssertionError(f"time.{name} was called")

    return looked_at


# --- the page ---


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The script that writes what the runs print."""
    found = spec_from_file_location("docs_incidents", ROOT / "docs" / "incidents.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_shows_what_the_runs_print(pages: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert pages.filled(text) == text, "run: python docs/incidents.py"


def test_the_page_has_every_case_once_and_every_scenario_with_its_case() -> None:
    rows = re.findall(r"^\| (\d+) \|(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(NUMBERS)
    for number, text in rows:
        named = re.findall(r"`(\d+-[a-z0-9-]+)`", text)
        assert named == [name for name in FILES if int(name.partition("-")[0]) == int(number)]


def measured() -> list[str]:
    """The sections of the page that tell what was measured."""
    return PAGE.read_text(encoding="utf-8").partition("\n## Where there is no rule\n")[2].split("\n### ")[1:]


@pytest.mark.parametrize("section", measured(), ids=lambda section: section.partition("\n")[0])
def test_every_number_that_is_told_is_in_the_scenarios_or_in_what_they_print(section: str) -> None:
    prose = re.sub(r"<!-- printed: .*?<!-- end -->", "", section.partition("\n")[2], flags=re.DOTALL)
    shown = re.findall(r"<!-- printed: (cases/[a-z0-9-]+)", section)
    sources = "".join(re.findall(r"```text.*?```", section, re.DOTALL)) + "".join(
        (CASES.parent / f"{name}.yaml").read_text("utf-8") for name in shown
    )
    number = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?")
    known = {float(found) for found in number.findall(sources)}
    assert shown
    assert not [found for found in number.findall(prose) if float(found) not in known]


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`((?:scheduler/)?test_\w+)\.(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 20
    for module, test in named:
        text = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {test}(" in text, f"{module}.{test}"
