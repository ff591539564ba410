"""The search: work in order whatever becomes of workers, findings told once, written at once, and taken up again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simroom.bugbank import BUGS
from simroom.scenario.load import load
from simroom.scheduler.messages import Addressed, Incoming, Utterance
from simroom.scheduler.port import SchedulerFactory, SchedulerPort, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings
from simroom.study import fuzz_state, regressions
from simroom.study.fuzz import Plan, fuzz
from simroom.study.fuzz_state import Finding, StateError, Tally, resumed
from simroom.study.pool import Pool, WorkError, elsewhere, streamed
from simroom.study.reduction import Reduced, retold, shape_of
from simroom.study.trial import ENDLESS, Trial, judged, ran

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals")

# --- what workers do; here, so that it can be pickled ---


def slowly(number: int) -> int:
    """The first ones take longest."""
    time.sleep(0.2 if number == 0 else 0)
    return number


def raising() -> None:
    raise LookupError("what went wrong")


def endless() -> None:
    while True:
        time.sleep(1)


def dying(times: int, folder: Path) -> int:
    """Die so many times, then tell which process it was."""
    died = len(list(folder.iterdir()))
    if died < times:
        (folder / str(died)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def parts(dies: bool) -> Iterator[int]:
    yield 1
    yield 2
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    yield 3


def hash_of(text: str) -> int:
    return hash(text)


# --- the pool ---


def test_answers_come_in_the_order_of_the_tasks() -> None:
    with Pool(2) as pool:
        answers = list(pool.in_order((partial(slowly, number) for number in range(20)), limit_seconds=30))
    assert [answer.position for answer in answers] == [answer.result for answer in answers] == list(range(20))
    assert {answer.fate for answer in answers} == {"done"}


def test_what_hangs_is_killed_and_told_and_the_rest_is_done() -> None:
    with Pool(2) as pool:
        tasks = [partial(slowly, 1), endless, partial(slowly, 2), partial(slowly, 3)]
        answers = list(pool.in_order(tasks, limit_seconds=1))
    assert [answer.fate for answer in answers] == ["done", "hung", "done", "done"]


@needs_signals
def test_a_task_whose_worker_dies_is_done_again_once(tmp_path: Path) -> None:
    for name, times in (("once", 1), ("always", 9)):
        (tmp_path / name).mkdir()
        with Pool(1) as pool:
            tasks = [partial(dying, times, tmp_path / name), partial(slowly, 1)]
            first, second = pool.in_order(tasks, limit_seconds=30)
        assert second.result == 1
        assert first.fate == ("done" if times == 1 else "died")
        assert first.why == "killed by SIGKILL"
        assert len(list((tmp_path / name).iterdir())) == min(times, 2)


def test_what_raises_is_a_fault_of_the_program_and_says_where() -> None:
    with Pool(1) as pool, pytest.raises(WorkError, match=r"test_study_fuzz\.py.*\n(.*\n)*LookupError: what went wrong"):
        list(pool.in_order([raising], limit_seconds=30))


@needs_signals
def test_no_worker_is_left_behind(tmp_path: Path) -> None:
    with Pool(1) as pool:
        (answer,) = pool.in_order([partial(dying, 0, tmp_path)], limit_seconds=30)
        assert answer.result is not None
        os.kill(answer.result, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(answer.result, 0)


@needs_signals
def test_parts_are_heard_as_they_come_also_of_a_task_that_dies() -> None:
    assert list(streamed(partial(parts, False), limit_seconds=30)) == [1, 2, 3]
    assert list(streamed(partial(parts, True), limit_seconds=30)) == [1, 2]


def test_another_process_has_another_hash_seed_and_one_that_fails_says_nothing() -> None:
    hashes = {elsewhere(partial(hash_of, "a"), hash_seed=seed, limit_seconds=30) for seed in (1, 2)}
    assert len(hashes) == 2
    assert None not in hashes
    assert elsewhere(raising, hash_seed=1, limit_seconds=30) is None


# --- schedulers that fail ---


def broken(name: str) -> SchedulerFactory:
    return BUGS[name].make


class Troubled(Scheduler):
    """Does something at every utterance."""

    def trouble(self) -> None:
        raise NotImplementedError

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        if type(message) is Utterance:
            self.trouble()
        return super().received(connection, message, now)


class Hanging(Troubled):
    def trouble(self) -> None:
        while True:
            pass


class Killing(Troubled):
    def trouble(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Raising(Troubled):
    def trouble(self) -> None:
        raise KeyError("room")


def made(kind: Callable[[Settings, Sources], SchedulerPort]) -> SchedulerFactory:
    return kind


# --- the search ---


class Listening:
    """Writes down what it hears of a search.

    Attributes:
        written: Of each file of a finding that was there as soon as it failed: its scenario's name.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.written: list[str] = []

    def tried(self, tally: Tally) -> None:
        self.heard.append(f"tried {tally.next_seed - 1}")

    def failed(self, trial: Trial, file: Path) -> None:
        self.written.append(load(file).name)
        self.heard.append(f"failed {trial.seed}")

    def smaller(self, reduced: Reduced) -> None:
        pass

    def found(self, finding: Finding) -> None:
        self.heard.append(f"found {finding.seed}")

    def repeated(self, seed: int, earlier: int) -> None:
        self.heard.append(f"repeated {seed} like {earlier}")


def plan(folder: Path, resolve: Any = None, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "start": 1,
        "count": 8,
        "seconds": None,
        "around": None,
        "resolve": resolve,
        "words": ("--scheduler", "x:y"),
        "run_words": ("--scheduler", "x:y"),
        "jobs": 2,
        "findings_max": 1,
        "out": folder / "found",
        "state": folder / "state.json",
        "tries_max": 300,
    }
    return Plan(**{**values, **changes})


def test_findings_that_are_alike_are_told_once(tmp_path: Path) -> None:
    listening = Listening()
    resolve = partial(broken, "everybody_gets_everything")
    tally = fuzz(plan(tmp_path, resolve, count=4, findings_max=99), listening)
    assert tally.tried == 4
    assert tally.findings
    assert tally.repeats
    assert len({finding.shape for finding in tally.findings}) == len(tally.findings)
    assert {path.name for path in (tmp_path / "found").iterdir()} == {Path(one.file).name for one in tally.findings}
    told = [line for line in listening.heard if line.startswith(("found", "repeated"))]
    assert len(told) == len(tally.findings) + len(tally.repeats)


def test_a_finding_is_written_before_it_is_made_small_and_again_after_it(tmp_path: Path) -> None:
    listening = Listening()
    tally = fuzz(plan(tmp_path, partial(broken, "sent_twice_to_single_recipient")), listening)
    (finding,) = tally.findings
    assert listening.heard[-3:] == [f"failed {finding.seed}", f"found {finding.seed}", f"tried {finding.seed}"]
    assert listening.written == [f"I2 at most once, duplicate, seed {finding.seed}"]
    assert finding.sign == ("I2", "duplicate")
    assert finding.reproduced
    assert finding.complete
    scenario = load(Path(finding.file))
    assert [expectation.text for expectation in scenario.expect] == ["violations == 0"]
    assert finding.sign in judged(ran(scenario, scheduler=BUGS["sent_twice_to_single_recipient"].make)).signature
    assert not judged(ran(scenario)).failed


def test_the_story_has_ten_lines_at_most_and_ends_with_the_breach(tmp_path: Path) -> None:
    tally = fuzz(plan(tmp_path, partial(broken, "no_order")), Listening())
    (finding,) = tally.findings
    assert 3 < len(finding.story) <= 10
    assert "I3 order" in finding.story[-1]
    assert sum("speaks" in line for line in finding.story) >= 2
    comments = [line for line in Path(finding.file).read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
    assert comments[2 : 2 + len(finding.story)] == [f"#   {line}" for line in finding.story]


def test_a_search_that_goes_on_comes_to_the_same_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    resolve = partial(broken, "leave_ignored")
    once = fuzz(plan(tmp_path / "once", resolve, count=6, findings_max=9, tries_max=30), Listening())
    for count in (2, 6):
        before = resumed(tmp_path / "twice" / "state.json")
        twice = fuzz(plan(tmp_path / "twice", resolve, count=count, findings_max=9, tries_max=30), Listening(), before)
    assert twice.tried == once.tried == 6

    def without_folders(tally: Tally) -> tuple[Any, ...]:
        files = [Path(one.file).name for one in tally.findings]
        stories = [one.story for one in tally.findings]
        return tally.judgements, tally.ends, tally.fired, tally.repeats, files, stories

    assert without_folders(twice) == without_folders(once)


def test_a_scheduler_that_raises_is_a_finding_with_what_it_said(tmp_path: Path) -> None:
    (finding,) = fuzz(plan(tmp_path, partial(made, Raising)), Listening()).findings
    assert finding.sign == ("crash", "KeyError")
    assert finding.told.startswith("KeyError: 'room' (in trouble, line ")
    assert finding.operations <= 1
    assert "KeyError" in finding.story[-1]
    assert finding.number is None


def test_a_scheduler_that_hangs_is_killed_and_is_a_finding(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"limit_seconds": 1.0, "shrink_seconds": 0.5, "tries_max": 1}
    (finding,) = fuzz(plan(tmp_path, partial(made, Hanging), jobs=1, **limits), Listening()).findings
    assert finding.sign == ENDLESS
    assert "no end in 1 s: its process was killed" in finding.told


@needs_signals
def test_a_scheduler_that_kills_its_process_is_a_finding_and_the_search_lives(tmp_path: Path) -> None:
    (finding,) = fuzz(plan(tmp_path, partial(made, Killing), jobs=1), Listening()).findings
    assert finding.sign == ("crash", "the process")
    assert finding.told == "two processes died of it, the second killed by SIGKILL"
    assert not finding.reproduced
    assert load(Path(finding.file)).seed == finding.seed


def test_nothing_new_is_begun_when_the_time_is_over(tmp_path: Path) -> None:
    began = time.monotonic()
    tally = fuzz(plan(tmp_path, count=None, seconds=0.5), Listening())
    assert tally.tried > 0
    assert time.monotonic() - began < 20


# --- what is kept ---


def test_a_state_that_is_none_is_refused_and_one_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert resumed(tmp_path / "nothing.json") is None
    for content in (b"\xff\x00", b"[]", b'{"schema_version": 1}'):
        (tmp_path / "state.json").write_bytes(content)
        with pytest.raises(StateError, match="is not the state of a search"):
            resumed(tmp_path / "state.json")


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    fuzz_state.save(path, "simroom fuzz", "0.1.0", Tally(start=1, next_seed=1))
    assert resumed(path) == Tally(start=1, next_seed=1)
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(StateError, match="another version"):
        resumed(path)


def test_what_was_there_but_never_came_up_is_told() -> None:
    tally = Tally(start=1, next_seed=2, judgements={"I1": 3, "I2": 0}, fired={"crash": 2, "clock": 0})
    assert "I1" not in tally.never_judged
    assert {"I2", "L4"} <= set(tally.never_judged)
    assert tally.never_fired == ("clock",)


def test_a_finding_is_written_over_itself_and_beside_another_one(tmp_path: Path) -> None:
    sign, words = ("I1", "missing"), ("--bug", "no_order")
    first = regressions.place_for(tmp_path, sign, 7, words)
    assert first.name == "i1-missing-7.yaml"
    text = regressions.file_text({}, sign, 7, words=words, run_words=(), path=first, told=["a line"])
    regressions.write(first, text)
    assert regressions.place_for(tmp_path, sign, 7, words) == first
    assert regressions.place_for(tmp_path, sign, 7, ("--bug", "no_retry")).name == "i1-missing-7-2.yaml"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "some" / "file.yaml"
    regressions.write(path, "before\n")
    with pytest.raises(UnicodeEncodeError):
        regressions.write(path, "half of it \ud800")
    assert path.read_text() == "before\n"
    assert os.listdir(path.parent) == ["file.yaml"]


def test_what_a_scenario_is_called_cannot_get_out_of_the_comments_on_top(tmp_path: Path) -> None:
    told = ["0s  evil\nsimroom: 2\x1b[31m speaks"]
    text = regressions.file_text({}, ("I1", "missing"), 1, words=(), run_words=(), path=tmp_path / "a.yaml", told=told)
    assert "\x1b" not in text
    assert "\nsimroom: 2" not in text
    assert "#   0s  evil\\nsimroom: 2\\e[31m speaks" in text


def test_shapes_are_equal_for_scenarios_that_differ_in_numbers_and_names_only() -> None:
    def data(name: str, span: str, language: str, **more: Any) -> dict[str, Any]:
        members = [{"name": f"{name}{n}", "speaks": language} for n in range(2)]
        script = [{"at": span, "speak": {"member": f"{name}/{name}1", "length": span}}]
        rooms = [{"name": name, "members": members}]
        return {"simroom": 1, "name": name, "rooms": rooms, "nodes": [{"name": name}], "script": script, **more}

    sign = ("I1", "missing")
    assert shape_of(data("x", "1s", "en"), sign) == shape_of(data("other", "20ms", "de", seed=3), sign)
    assert shape_of(data("x", "1s", "en"), sign) != shape_of(data("x", "1s", "en"), ("I1", "extra"))
    assert shape_of(data("x", "1s", "en"), sign) != shape_of(data("x", "1s", "en", scheduler={"late": "drop"}), sign)


def test_a_run_without_a_breach_has_no_story() -> None:
    data = {
        "simroom": 1,
        "name": "quiet",
        "duration": "1s",
        "rooms": [{"name": "r", "members": [{"name": "a", "speaks": "en", "tgt_lang": "ja"}], "speech": "none"}],
        "nodes": [],
    }
    told = retold(data, Path(), None, ("I1", "missing"))
    assert (told.signature, told.story, told.number) == ((), (), None)
