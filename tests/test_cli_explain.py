"""``simroom explain``: from a run folder or a scenario to a story, with honest codes and harmless to the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_cli_files import ROOT, STANDUP, simroom
from test_study_rows import HOSTILE

from simroom.cli import exits
from simroom.cli.explain import Options, explain

PLAIN = Options(
    run=Path("reports/standup-1"),
    utterance=None,
    job=None,
    member=None,
    at=None,
    violation=None,
    slowest=False,
    seed=None,
    overrides=(),
    scheduler=None,
    as_json=False,
    colour=False,
    force=False,
)


class Told(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


class Command:
    """The command, in a folder where the stand-up was run.

    Args:
        capture: Where its output is read.
    """

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, **asked: Any) -> Told:
        values = {name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__}
        self._capture.readouterr()
        try:
            code = explain(Options(**{**values, **asked}))
            stopped = ""
        except exits.StopError as stop:
            code, stopped = stop.code, str(stop)
        captured = self._capture.readouterr()
        return Told(code, captured.out, captured.err + stopped)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "standup.yaml").write_text(STANDUP)
    assert simroom("run", "standup.yaml", "-q", "--rows", "none", at=tmp_path).returncode == 0
    return tmp_path


@pytest.fixture
def told(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_an_utterance_of_a_run_folder_is_told_in_eighty_columns(told: Command) -> None:
    done = told(utterance="standup-1/m1#0")
    assert (done.code, done.err) == (0, "")
    rows = done.out.splitlines()
    assert rows[1].startswith(" standup-1/m1 #0 · zh, ")
    assert rows[1].endswith(" of speech · room standup-1 · seed 1")
    assert max(len(row) for row in rows) <= 80
    for part in (
        "begins to speak zh",
        "arrived after",
        "into en for m3",
        "same_language: skip",
        "gets it",
        "Who got it",
    ):
        assert part in done.out


def test_the_same_is_told_twice_and_from_the_scenario_too(told: Command) -> None:
    first, again = told(slowest=True), told(slowest=True)
    assert first == again
    assert told(slowest=True, run=Path("standup.yaml")) == first
    assert told(slowest=True, run=Path("reports/standup-1/summary.json")) == first
    assert told(slowest=True, run=Path("standup.yaml"), seed=2) != first


def test_json_says_the_same_and_nothing_else(told: Command) -> None:
    done = told(utterance="standup-1/m1#0", as_json=True)
    content = json.loads(done.out)
    summary = json.loads(Path("reports/standup-1/summary.json").read_text(encoding="utf-8"))
    assert content["trace_hash"] == content["recorded_trace_hash"] == summary["trace_hash"]
    assert (content["seed"], content["violation"], content["member"]) == (1, None, None)
    said = content["utterance"]
    assert (said["speaker"], said["utterance_index"], said["src_lang"]) == ("standup-1/m1", 0, "zh")
    assert [job["tgt_lang"] for job in said["jobs"]] == ["en", "ja"]
    assert [step["at_us"] for step in said["steps"]] == sorted(step["at_us"] for step in said["steps"])
    for delivery in said["deliveries"]:
        assert sum(delivery["parts"].values()) == delivery["delivery_latency_us"]
    placing = next(step for step in said["steps"] if step["verdicts"] is not None)
    assert placing["verdicts"]["nodes"] == 3 == len(placing["verdicts"]["first"])


def test_somebody_at_an_instant_is_told_whichever_way_the_instant_is_written(told: Command) -> None:
    done = told(member="standup-2/m4", at="65s")
    assert done.out.startswith("\n standup-2/m4 at 01:05.000 · seed 1\n   connected · in room standup-2 · prefers ja\n")
    assert "received in ja at 01:" in done.out
    assert told(member="standup-2/m4", at="01:05.000") == done
    assert told(member="standup-2/m4", at="0:01:05") == done
    early = told(member="standup-2/m4", at="-00:01.000")
    assert "at -00:01.000" in early.out


def test_a_job_is_told_by_its_id(told: Command) -> None:
    done = told(job="job-2")
    assert done.code == 0
    assert "ja job-2: delivered to 1" in done.out
    assert "its other jobs are not told: en job-1" in done.out


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ({}, 2, "say what to explain: one of --utterance ROOM/MEMBER#INDEX, --job JOB, --member NAME --at TIME,"),
        ({"job": "job-1", "slowest": True}, 2, "say what to explain: one of"),
        ({"utterance": "standup-1/m1"}, 2, "--utterance: found 'standup-1/m1', expected ROOM/MEMBER#INDEX"),
        ({"utterance": "standup-1/m1#two"}, 2, "--utterance: found 'standup-1/m1#two'"),
        ({"utterance": "stand-up-1/m1#0"}, 2, "no session is called 'stand-up-1/m1'; did you mean 'standup-1/m1'?"),
        ({"member": "standup-9/m1", "at": "1s"}, 2, "--member: no session is called 'standup-9/m1'"),
        ({"member": "standup-1/m1"}, 2, "--member needs --at"),
        ({"slowest": True, "at": "1s"}, 2, "--at goes with --member or --utterance"),
        ({"member": "standup-1/m1", "at": "65"}, 2, "--at: found '65', expected an instant from time 0"),
        ({"violation": 0}, 2, "--violation: they are numbered from 1"),
        ({"slowest": True, "seed": 3}, 2, "--seed and --set go with a scenario file"),
        ({"slowest": True, "run": Path("reports")}, 2, "reports is no run folder: it has no summary.json"),
        ({"slowest": True, "run": Path("nowhere.yaml")}, 2, "found no such file"),
        ({"slowest": True, "scheduler": "os"}, 2, "expected package.module:factory"),
        ({"slowest": True, "scheduler": "nowhere:make"}, 3, "cannot import"),
        ({"utterance": "standup-1/m1#999"}, 4, "nothing found: standup-1/m1 has said no #999; the numbers go from #0"),
        ({"job": "job-99999"}, 4, "nothing found: no such job was made: there were "),
        ({"violation": 1}, 4, "nothing found: there was no violation"),
        ({"member": "standup-1/m1", "at": "1h"}, 4, "nothing found: the run was over at 02:0"),
    ],
)
def test_what_cannot_be_told_is_said_with_its_code(
    told: Command, asked: dict[str, Any], code: int, message: str
) -> None:
    done = told(**asked)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_run_that_is_no_longer_what_was_recorded_is_told_with_a_warning(told: Command) -> None:
    path = Path("reports/standup-1/summary.json")
    summary = json.loads(path.read_text(encoding="utf-8"))
    summary.update(trace_hash="0" * 32, simroom="0.0.9\x1b[2J")
    path.write_text(json.dumps(summary))
    done = told(slowest=True)
    assert done.code == 0
    assert done.err.startswith("WARNING: this is not the run that was recorded")
    assert "Recorded by simroom 0.0.9\\e[2J, trace hash 00000000000000000000000000000000;" in done.err
    assert "Who got it" in done.out


def test_a_part_of_a_run_is_explained_as_the_whole_of_it(told: Command) -> None:
    path = Path("reports/standup-1/summary.json")
    summary = json.loads(path.read_text(encoding="utf-8"))
    summary.update(trace_hash="0" * 32, partial=True)
    path.write_text(json.dumps(summary))
    assert told(slowest=True).err == "The recorded run was interrupted; this is of the whole run.\n"


@pytest.mark.parametrize("content", ["", "[]", '{"seed": 1}', '{"simroom": "1", "seed": -1, "trace_hash": "x"}'])
def test_what_is_no_summary_is_refused(told: Command, content: str) -> None:
    Path("reports/standup-1/summary.json").write_text(content)
    done = told(slowest=True)
    assert done.code == 2
    assert "is no summary of simroom" in done.err


def test_a_recorded_scheduler_is_only_run_again_when_asked_for(told: Command) -> None:
    path = Path("reports/standup-1/summary.json")
    summary = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**summary, "scheduler": "mine.evil:make; rm"}))
    done = told(slowest=True)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("add --scheduler 'mine.evil:make; rm'")


def test_a_violation_of_a_scheduler_of_ones_own_is_told(told: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    done = told(run=ROOT / "scenarios" / "quickstart.yaml", violation=1, scheduler="own_scheduler:forgetful")
    assert done.code == 0
    assert done.out.startswith("\n  I1  recipients · 00:0")
    assert "! I1 (recipients) is broken: standup/carl should have got it, did not" in " ".join(done.out.split())
    assert "! carl: should have got it" in done.out


def test_hostile_names_do_not_steer_the_terminal(told: Command) -> None:
    text = {
        "simroom": 1,
        "name": HOSTILE,
        "duration": "20s",
        "rooms": [
            {"name": HOSTILE, "members": [{"name": "[bold]\x1b[2J", "speaks": "zh"}, {"name": "b\r\n", "speaks": "en"}]}
        ],
        "nodes": [{"name": "node\x1b]0;x\x07", "service": "1s"}],
    }
    Path("hostile.yaml").write_text(json.dumps(text))
    name = f"{HOSTILE}/[bold]\x1b[2J"
    for asked in (
        {"slowest": True},
        {"utterance": f"{name}#0"},
        {"utterance": f"{name}#99"},
        {"utterance": f"{name}x#0"},
        {"member": name, "at": "9s"},
        {"job": "\x1b[2J"},
        {"slowest": True, "as_json": True},
    ):
        done = told(run=Path("hostile.yaml"), **asked)
        for text_out in (done.out, done.err):
            assert not [character for character in text_out if character != "\n" and not character.isprintable()]
            assert "\u202e" not in text_out
    assert "[bold]\\e[2J" in told(run=Path("hostile.yaml"), utterance=f"{name}#0").out


def test_the_documentation_shows_what_is_printed(told: Command) -> None:
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    command = "simroom explain scenarios/rules/attempts.yaml --utterance to-english#0"
    done = told(run=ROOT / "scenarios" / "rules" / "attempts.yaml", utterance="to-english#0")
    assert f"$ {command}\n{done.out}```" in page


def test_a_thousand_rooms_are_no_reason_to_keep_more(told: Command) -> None:
    large = ROOT / "scenarios" / "fleets" / "large.yaml"
    done = told(run=large, overrides=("duration=4s", "warm_up=0s"), job="job-100", as_json=True)
    assert done.code == 0
    assert len(done.out) < 50_000
    verdicts = [step["verdicts"] for step in json.loads(done.out)["utterance"]["steps"] if step["verdicts"]]
    assert verdicts
    assert all(one["nodes"] == 200 and len(one["first"]) == 8 for one in verdicts)
