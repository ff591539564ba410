"""``simroom dispatch``: where a job would go, every node's verdict, and nothing placed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_cli_files import ROOT

from simroom.cli import exits
from simroom.cli.dispatch import Options, dispatch

RULES = ROOT / "scenarios" / "rules"
PLAIN = Options(
    scenario=ROOT / "scenarios" / "quickstart.yaml",
    at="65s",
    src_lang="zh",
    tgt_lang="en",
    room=None,
    session=None,
    features=None,
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
    """The command.

    Args:
        capture: Where its output is read.
    """

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, **asked: Any) -> Told:
        values = {name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__}
        self._capture.readouterr()
        try:
            code = dispatch(Options(**{**values, **asked}))
            stopped = ""
        except exits.StopError as stop:
            code, stopped = stop.code, str(stop)
        captured = self._capture.readouterr()
        return Told(code, captured.out, captured.err + stopped)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("COLUMNS", "80")
    return Command(capsys)


def test_every_node_its_load_and_why_are_shown(told: Command) -> None:
    done = told()
    assert done.code == 0
    rows = done.out.splitlines()
    assert rows[1] == " zh → en at 01:05.000 · seed 1"
    assert rows[2].startswith("   would go to desktop-")
    assert "tie_break: rotate" in " ".join(done.out.split())
    assert [row.split()[0] for row in rows if row.startswith("   desktop-")] == ["desktop-1", "desktop-2", "desktop-3"]
    assert sum(row.endswith("gets it") for row in rows) == 1
    assert max(map(len, rows)) <= 80
    assert told() == done


def test_where_nobody_fits_the_reason_is_the_one_the_speaker_would_be_told(told: Command) -> None:
    done = told(scenario=RULES / "no-node-reject.yaml", at="20s")
    assert done.code == 0
    assert "nowhere: CAPACITY_EXCEEDED  [on_no_node: reject]" in done.out
    assert done.out.count("2/2  CAPACITY_EXCEEDED") == 2
    waits = told(scenario=RULES / "no-node-queue.yaml", at="20s")
    assert "on_no_node: queue: it waits 10 s at most" in " ".join(waits.out.split())


def test_a_session_brings_its_languages_and_its_paired_node(told: Command) -> None:
    done = told(scenario=RULES / "pairing.yaml", at="20s", src_lang=None, tgt_lang=None, session="owner")
    assert "zh → en for owner at 00:20.000" in done.out
    assert "would go to desk  [paired with the speaker" in done.out
    gone = told(scenario=RULES / "pairing.yaml", at="50s", src_lang=None, tgt_lang=None, session="owner")
    assert "OFFLINE" in gone.out
    assert "paired" not in gone.out


def test_the_documentation_shows_what_is_printed(told: Command) -> None:
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    command = "simroom dispatch scenarios/rules/no-node-reject.yaml --at 20s --from zh --to en"
    assert f"$ {command}\n{told(scenario=RULES / 'no-node-reject.yaml', at='20s').out}```" in page


def test_features_ask_for_their_models(told: Command) -> None:
    done = told(features="emotion_detection,speaker_identification")
    assert "nowhere: MODEL_NOT_AVAILABLE" in done.out


def test_json_says_the_same(told: Command) -> None:
    content = json.loads(told(as_json=True).out)
    assert (content["src_lang"], content["tgt_lang"], content["at_us"], content["seed"]) == ("zh", "en", 65_000_000, 1)
    assert [node["node"] for node in content["nodes"] if node["chosen"]] == [content["chosen"]]
    assert all(node["exclude_reason"] is None and node["slots"] == 4 for node in content["nodes"])
    assert content["refusal"] is None


def test_of_very_many_nodes_those_that_are_not_shown_are_counted(told: Command) -> None:
    large = {"scenario": ROOT / "scenarios" / "fleets" / "large.yaml", "at": "1s"}
    done = told(**large)
    assert "160 more" in done.out
    assert "of all: 200 fit" in done.out
    assert len(json.loads(told(**large, as_json=True).out)["nodes"]) == 200


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ({"at": "5"}, 2, "--at: found '5', expected an instant from time 0"),
        ({"at": "10min"}, 2, "--at: found '10min', expected an instant from -01:"),
        ({"tgt_lang": None}, 2, "--from and --to are needed, or a --session that has both"),
        ({"tgt_lang": "Chinese"}, 2, "--to: found 'Chinese', expected a language tag"),
        ({"tgt_lang": "auto"}, 2, "--to: found 'auto'"),
        ({"room": "standap"}, 2, "--room: no room is called 'standap'; did you mean 'standup'?"),
        ({"session": "standup/mai"}, 2, "--session: no session is called 'standup/mai'; did you mean 'standup/mei'?"),
        ({"features": "emotion"}, 2, "no feature is called 'emotion'; did you mean emotion_detection?"),
        ({"scenario": Path("nowhere.yaml")}, 2, "found no such file"),
        ({"session": "standup/mei", "at": "-60s"}, 3, "standup/mei has no session then"),
    ],
)
def test_what_cannot_be_asked_is_said_with_its_code(
    told: Command, asked: dict[str, Any], code: int, message: str
) -> None:
    done = told(**asked)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_scheduler_without_a_dry_run_says_so(told: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    done = told(scheduler="own_scheduler:forgetful")
    assert (done.code, done.out) == (3, "")
    assert "this scheduler has no dry run" in done.err
    assert told(scheduler="own_scheduler:packed").code == 0
