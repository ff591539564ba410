"""Baselines: small, readable, refused where they do not fit, and held against what commits do."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from regressing import CROWD, HOSTILE, ROOM, folder_of, hostile, nothing

from simroom import api
from simroom.scenario.load import loads
from simroom.study.baseline import is_held_to_routing
from simroom.study.baseline_file import BaselineError, place_of, read, text_of
from simroom.study.checked import Case, Checked
from simroom.study.difference import Goal, difference, goals
from simroom.study.effort import Effort, Efforts, alike, efforts, slowed
from simroom.study.expect import read as expectation
from simroom.study.whole_files import write_whole

LATENCY = Goal("delivery_latency.p95", "time", "less")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kept(text: str, *, replications: int = 6) -> Path:
    """Keep what a scenario comes to; returns the file of its baseline."""
    folder_of(Path(), a=text)
    _, (renewed,) = api.update_baselines("scenarios", baselines="b", replications=replications)
    assert renewed.word == "new"
    return renewed.path


def held(scheduler: str | None = None, **options: object) -> Checked:
    """Hold the scenario against its baseline."""
    tally = api.check("scenarios", baselines="b", scheduler=scheduler, **options)  # type: ignore[arg-type]
    return tally.checked[0]


def cases(checked: Checked) -> dict[str, Case]:
    """What the baseline adds, by name."""
    return {case.name.removeprefix("baseline: "): case for case in checked.cases if case.kind == "baseline"}


# --- the file ----------------------------------------------------------------------------------------------------


def test_a_baseline_is_small_and_a_person_can_read_what_reached_whom() -> None:
    text = kept(ROOM).read_text(encoding="utf-8")
    assert len(text) < 6_000
    assert max(map(len, text.splitlines())) <= 240
    content = json.loads(text)
    assert content["routes"][:2] == [
        ["00:03.000 room/mei #0 → en", "on node-1", "to anna, mei"],
        ["00:03.000 room/mei #0 → ja", "on node-2", "to yuki"],
    ]
    assert '["00:03.000 room/mei #0 → en", "on node-1", "to anna, mei"]' in text
    assert content["counts"] == {"utterances": 4, "jobs": 6, "deliveries": 9, "violations": 0}
    assert content["measures"]["delivery_latency.p95"]["values"] == [1, 1]
    assert len(content["replications"]) == 2


def test_chance_takes_as_many_replications_as_were_asked_for() -> None:
    content = json.loads(kept(CROWD).read_text(encoding="utf-8"))
    assert len(content["replications"]) == 6
    one = content["measures"]["delivery_latency.mean"]
    assert one["low"] < one["mean"] < one["high"]
    assert len(one["values"]) == 6


def test_the_same_again_leaves_the_file_as_it_is() -> None:
    path = kept(CROWD)
    before = path.read_bytes()
    for _ in range(2):
        _, (renewed,) = api.update_baselines("scenarios", baselines="b", replications=6)
        assert renewed.word == "same"
    assert path.read_bytes() == before


def test_what_is_read_is_what_was_written() -> None:
    path = kept(CROWD)
    baseline = read(path, "")
    assert baseline is not None
    assert text_of(baseline) == path.read_text(encoding="utf-8")


def test_a_scenario_that_does_not_pass_is_not_kept() -> None:
    folder_of(Path(), a=ROOM.replace("p95 < 2s", "p95 < 1s"))
    _, (renewed,) = api.update_baselines("scenarios", baselines="b")
    assert renewed.word == "none"
    assert not renewed.path.exists()
    _, (renewed,) = api.update_baselines("scenarios", baselines="b", even_failed=True)
    assert renewed.word == "new"
    assert json.loads(renewed.path.read_text())["verdict"] == "failed"
    assert "the baseline is of a scenario that had not passed: failed" in held().notes


def test_a_failed_scenario_leaves_the_baseline_it_had() -> None:
    path = kept(ROOM)
    before = path.read_bytes()
    _, (renewed,) = api.update_baselines("scenarios", baselines="b", scheduler="simroom.bugbank.bank:speaker_left_out")
    assert (renewed.word, path.read_bytes()) == ("kept", before)


def test_a_name_that_means_harm_cannot_steer_the_terminal_of_who_reviews_it() -> None:
    text = kept(hostile(ROOM)).read_text(encoding="utf-8")
    assert not any(character in text for character in "\x1b\u202e")
    assert json.loads(text)["scenario"]["name"] == HOSTILE


# --- where it is -------------------------------------------------------------------------------------------------


def test_a_baseline_lies_as_its_scenario_does(tmp_path: Path) -> None:
    assert place_of(Path("scenarios/rules/ties.yaml"), Path("b")) == Path("b/scenarios/rules/ties.json")
    assert place_of(Path("./scenarios/a.yml"), Path("b")) == Path("b/scenarios/a.json")
    assert place_of(tmp_path / "scenarios" / "a.yaml", Path("b")) == Path("b/scenarios/a.json")


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4))
def test_a_baseline_never_leaves_its_folder(parts: list[str]) -> None:
    path = Path(*(part.replace("\0", "0") for part in parts))
    if not path.name:
        return
    place = place_of(path, Path("b"))
    assert place.parts[0] == "b"
    assert not {"..", ".", ""} & set(place.parts)
    assert all(part.isascii() and part.isprintable() and "/" not in part for part in place.parts)


def test_names_that_differ_only_in_what_is_not_safe_have_different_files() -> None:
    places = {place_of(Path(f"{name}.yaml"), Path("b")) for name in ("a b", "a-b", "a/b", "ä-b", "a:b", "..", "...")}
    assert len(places) == 7


# --- what is refused ---------------------------------------------------------------------------------------------


def test_a_scenario_without_a_baseline_is_inconclusive_and_says_how_to_make_one() -> None:
    folder_of(Path(), a=ROOM)
    one = held()
    assert one.word == "inconclusive"
    (case,) = cases(one).values()
    assert case.what == "there is no baseline of it: simroom baseline update scenarios/a.yaml makes one"
    assert case.following == ("simroom", "baseline", "update", "scenarios/a.yaml")


def test_a_baseline_of_another_scenario_is_refused_and_it_is_said_what_differs() -> None:
    kept(ROOM)
    Path("scenarios/a.yaml").write_text(ROOM.replace("slots: 4", "slots: 5").replace("A room", "Another room"))
    (case,) = cases(held()).values()
    assert case.word == "inconclusive"
    assert "the baseline is of another scenario: name, nodes differ" in case.what


def test_a_setting_on_the_command_line_makes_it_another_scenario() -> None:
    kept(ROOM)
    one = held(overrides=["scheduler.tie_break=first"])
    assert one.word == "inconclusive"
    assert "scheduler differs" in cases(one)["baseline"].what


def test_a_file_that_the_scenario_refers_to_belongs_to_it() -> None:
    speech = "    speech: {meeting: m.rttm}\n    speakers: {rest: {speaks: en}}\n"
    text = ROOM[: ROOM.index("    speech:")].replace("mei, ", "li, ") + speech + ROOM[ROOM.index("nodes:") :]
    Path("scenarios").mkdir()
    Path("scenarios/m.rttm").write_text("SPEAKER m 1 0.5 2.0 <NA> <NA> A <NA> <NA>\n")
    Path("scenarios/a.yaml").write_text(text)
    api.update_baselines("scenarios", baselines="b")
    assert held().word == "passed"
    Path("scenarios/m.rttm").write_text("SPEAKER m 1 0.5 3.0 <NA> <NA> A <NA> <NA>\n")
    assert "a file that it refers to differs" in cases(held())["baseline"].what


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no baseline of simroom"),
        (b"[]", "no baseline of simroom"),
        (b"\xff\xfe", "no baseline of simroom"),
        (b'{"schema_version": 1, "kind": "check"}', "no baseline of simroom"),
        (b'{"schema_version": 0, "kind": "baseline"}', r"an older format \(0, this simroom has 1\)"),
        (b'{"schema_version": 2, "kind": "baseline"}', r"a newer format \(2, this simroom has 1\)"),
        (b'{"schema_version": 1, "kind": "baseline"}', "damaged"),
        (b"{" * 100_000, "no baseline of simroom"),
    ],
)
def test_what_is_no_baseline_is_refused_with_how_to_renew_it(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=f"{why}.*simroom baseline update a.yaml"):
        read(path, "simroom baseline update a.yaml")


def test_a_figure_without_a_value_for_each_replication_is_damage() -> None:
    path = kept(ROOM)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["measures"]["deliveries"]["values"].append(12)
    path.write_text(json.dumps(content))
    (case,) = cases(held()).values()
    assert case.word == "inconclusive"
    assert "damaged" in case.what


# --- commits -----------------------------------------------------------------------------------------------------


def test_a_commit_that_changes_nothing_passes() -> None:
    kept(CROWD)
    one = held("regressing:nothing")
    assert one.word == "passed"
    assert {case.what for name, case in cases(one).items() if name in ("routing", "selection", "effort")} == {
        "as before"
    }
    assert one.notes == ("the baseline was made with simroom's scheduler, this is the scheduler regressing:nothing",)


def test_a_commit_that_changes_the_tie_rule_is_told_by_the_first_job_that_runs_elsewhere() -> None:
    kept(ROOM.replace("preferred_lang: ja}", "preferred_lang: en}").replace("speaks: ja", "speaks: en"))
    one = held("regressing:ties")
    found = cases(one)
    assert one.word == "failed"
    assert (found["routing"].word, found["selection"].word) == ("passed", "failed")
    was, now, renew = found["selection"].details
    assert was == "was 00:17.000 room/mei #1 → en, on node-2, to anna, mei, yuki"
    assert now == "is  00:17.000 room/mei #1 → en, on node-1, to anna, mei, yuki"
    assert renew == "if that is meant: simroom baseline update scenarios/a.yaml --scheduler regressing:ties"
    assert found["selection"].following[1:5] == ("explain", "scenarios/a.yaml", "--utterance", "room/mei#1")


def test_a_commit_that_drops_the_speaker_from_the_recipients_is_told_by_the_first_result() -> None:
    kept(ROOM)
    one = held("simroom.bugbank.bank:speaker_left_out")
    found = cases(one)
    assert (found["routing"].word, found["selection"].word) == ("failed", "passed")
    assert found["routing"].details[:2] == (
        "was 00:03.000 room/mei #0 → en, on node-1, to anna, mei",
        "is  00:03.000 room/mei #0 → en, on node-1, to anna",
    )
    assert (found["deliveries"].word, found["deliveries"].value) == ("failed", 7)


@pytest.mark.parametrize(
    ("commit", "told"), [("Scanning", "times as many (1.25 times allowed)"), ("Sleeping", "(2 times allowed)")]
)
def test_a_commit_that_slows_selection_is_told_by_what_it_costs(commit: str, told: str) -> None:
    kept(CROWD, replications=2)
    one = held(f"regressing:{commit}")
    case = cases(one)["effort"]
    assert (one.word, case.word) == ("failed", "failed")
    assert case.what.startswith("Utterance: ")
    assert told in case.what
    assert [name for name, case in cases(one).items() if case.word != "passed"] == ["effort"]


def test_a_commit_that_makes_people_wait_longer_is_worse() -> None:
    kept(CROWD, replications=12)
    case = cases(held("regressing:herding"))["delivery_latency.p99"]
    assert case.word == "failed"
    assert "worse, +" in case.what
    assert "at 99.9 % over 12 seeds" in case.what


def test_the_routing_of_a_scenario_that_is_not_scripted_may_change_and_is_told() -> None:
    kept(CROWD)
    one = held("regressing:ties")
    assert {"routing", "selection"} & {name for name, case in cases(one).items() if case.word != "passed"} == set()
    assert any(note.startswith("selection is another than in the baseline: jobs run elsewhere") for note in one.notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ROOM, True),
        (CROWD, False),
        (ROOM.replace("tags: [quick", "tags: [any-routing"), False),
        (CROWD.replace("tags: [chance", "tags: [same-routing"), True),
    ],
)
def test_a_scenario_says_whether_its_routing_must_be_the_same(text: str, *, expected: bool) -> None:
    assert is_held_to_routing(loads(text, "a", Path())) is expected


def test_the_jobs_beyond_those_that_are_listed_are_compared_too() -> None:
    many = "".join(f"        - {{at: {2 * n}s, length: 1s, speaker: mei}}\n" for n in range(30))
    start, end = ROOM.index("        - {at: 1s"), ROOM.index("nodes:")
    text = (ROOM[:start] + many + ROOM[end:]).replace("duration: 40s", "duration: 70s")
    path = kept(text)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (len(content["routes"]), content["more_routes"]) == (40, 20)
    for one in content["replications"]:
        one["routing"] = "0" * 32
    path.write_text(json.dumps(content))
    case = cases(held())["routing"]
    assert case.word == "failed"
    assert case.details[0] == "the first 40 jobs are as they were"


# --- figures -----------------------------------------------------------------------------------------------------


def test_what_is_worse_by_more_than_the_margin_and_no_chance_is_worse() -> None:
    found = difference(LATENCY, [1.0, 1.1, 0.9, 1.0], [1.2, 1.3, 1.1, 1.2])
    assert (found.word, found.pairs) == ("worse", 4)
    assert found.before == pytest.approx(1.0)
    assert found.after == pytest.approx(1.2)
    assert found.told.startswith("1.00 s → 1.20 s: worse, +200.0 ms (+20.0 %)")
    assert found.told.endswith("50.0 ms allowed")


def test_what_is_worse_by_less_than_the_margin_is_no_worse() -> None:
    assert difference(LATENCY, [1.0, 1.1, 0.9], [1.04, 1.14, 0.94]).word == "same"
    assert difference(LATENCY, [1.0, 1.1, 0.9], [1.04, 1.14, 0.94], margin=0.01).word == "worse"


def test_a_time_may_be_worse_by_what_nobody_hears() -> None:
    assert difference(LATENCY, [0.01, 0.01], [0.019, 0.019]).word == "same"
    assert difference(LATENCY, [0.01, 0.01], [0.021, 0.021]).word == "worse"


def test_what_may_be_chance_is_inconclusive_and_says_how_many_more_would_tell() -> None:
    found = difference(LATENCY, [1.0, 1.0, 1.0, 1.0], [1.5, 0.9, 1.3, 0.8])
    assert found.word == "inconclusive"
    assert found.further is not None
    assert found.further > 0


def test_what_is_better_is_better_in_the_direction_that_is_wanted() -> None:
    more = Goal("deliveries", "count", "more")
    assert difference(LATENCY, [1.0, 1.1], [0.8, 0.9]).word == "better"
    assert difference(more, [10, 11], [12, 13]).word == "better"
    assert difference(more, [10, 11], [8, 9]).word == "worse"


def test_what_had_a_value_and_has_none_is_worse() -> None:
    assert difference(LATENCY, [1.0, 1.1], [None, None]).word == "worse"
    assert difference(LATENCY, [None, None], [1.0, 1.1]).word == "unknown"
    assert difference(LATENCY, [None, None], [None, None]).word == "same"


def test_a_single_pair_decides_nothing_beyond_the_margin() -> None:
    assert difference(LATENCY, [1.0], [1.02]).word == "same"
    assert difference(LATENCY, [1.0], [2.0]).word == "inconclusive"


@given(st.lists(st.floats(0, 100), min_size=2, max_size=8))
def test_the_same_values_are_never_worse(values: list[float]) -> None:
    assert difference(LATENCY, values, values).word == "same"


def test_expected_shares_are_compared_and_expected_counts_are_not() -> None:
    expected = [expectation(text) for text in ("nodes.utilisation.max < 85%", "jobs{node=a} > 20", "violations == 0")]
    names = {goal.name: goal.wanted for goal in goals(expected)}
    assert names["nodes.utilisation.max"] == "less"
    assert "jobs{node=a}" not in names
    assert "violations" not in names


# --- effort ------------------------------------------------------------------------------------------------------


def test_lines_are_counted_the_same_every_time() -> None:
    scenario = loads(CROWD, "a", Path())
    first, second = efforts(scenario, 1, nothing), efforts(scenario, 1, nothing)
    assert first is not None
    assert second is not None
    assert {kind: one.lines for kind, one in first.kinds.items()} == {
        kind: one.lines for kind, one in second.kinds.items()
    }
    assert first.kinds["Utterance"].calls > 20


def test_lines_of_another_python_are_not_compared() -> None:
    before = Efforts("3.11", {"Utterance": Effort(100, 100.0, 2.0)})
    assert slowed(before, Efforts("3.11", {"Utterance": Effort(100, 200.0, 2.0)}))
    assert not slowed(before, Efforts("3.12", {"Utterance": Effort(100, 200.0, 2.0)}))
    assert slowed(before, Efforts("3.12", {"Utterance": Effort(100, 200.0, 5.0)}))


def test_a_little_more_time_is_nothing_new() -> None:
    before = Efforts("3.11", {"Utterance": Effort(100, 100.0, 2.0)})
    assert alike(before, Efforts("3.11", {"Utterance": Effort(100, 100.0, 3.0)}))
    assert not alike(before, Efforts("3.11", {"Utterance": Effort(100, 101.0, 2.0)}))
    assert not alike(before, Efforts("3.11", {"Utterance": Effort(100, 100.0, 9.0)}))


# --- files -------------------------------------------------------------------------------------------------------


def test_two_that_write_one_file_leave_one_of_both_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    contents = [bytes([number]) * 100_000 for number in range(4)]
    threads = [threading.Thread(target=write_whole, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(TypeError):
        write_whole(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"before")
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"after"


def test_what_is_expected_is_judged_on_the_scenarios_own_seed() -> None:
    own = api.run(text=CROWD).value("jobs")
    kept(CROWD + f"  - jobs == {own:.0f}\n")
    one = held()
    assert one.word == "passed"
    assert len(one.replications) == 6
    assert len({run.values["jobs"] for run in one.replications}) > 1
