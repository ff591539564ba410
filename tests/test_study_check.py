"""Checking many scenarios: which are found, what becomes of each, and that nothing depends on who was quicker."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from regressing import BROKEN, CROWD, ROOM, folder_of

from simroom.study import finding
from simroom.study.check import Here, Settings, check, explored, plan_of
from simroom.study.checked import Checked
from simroom.study.executors import Local
from simroom.study.finding import Broken, NotThereError, RevisionError, changed_since, find, is_named, is_tagged, opened


def checked(folder: Path, settings: Settings | None = None) -> list[Checked]:
    """Check all scenarios of a folder in this process."""
    settings = settings or Settings()
    plans = [plan_of(opened(file, settings.overrides), settings) for file in find([folder]).files]
    return [outcome.checked for outcome in check(plans, settings, Here())]


# --- finding -----------------------------------------------------------------------------------------------------


def test_scenarios_are_found_below_a_folder_and_other_yaml_is_left_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, b=ROOM, a=ROOM, compose="services: {}\n")
    (folder / "deep").mkdir()
    (folder / "deep" / "c.yml").write_text("# a comment\n\nsimroom: 1\n")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "d.yaml").write_text(ROOM)
    found = find([folder])
    assert [path.relative_to(folder).as_posix() for path in found.files] == ["a.yaml", "b.yaml", "deep/c.yml"]
    assert [path.name for path in found.left_out] == ["compose.yaml"]


def test_a_file_that_is_named_is_taken_whatever_is_in_it_and_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM, other="services: {}\n")
    found = find([folder / "other.yaml", folder, folder / "a.yaml"])
    assert [path.name for path in found.files] == ["other.yaml", "a.yaml"]
    assert found.left_out == ()


def test_the_scenario_of_a_run_folder_is_not_found_again(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM)
    run = folder / "a-1"
    run.mkdir()
    (run / "scenario.yaml").write_text(ROOM)
    (run / "summary.json").write_text("{}")
    assert [path.name for path in find([folder]).files] == ["a.yaml"]


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotThereError, match=r"nowhere.*no such file"):
        find([tmp_path / "nowhere"])


def test_a_link_to_a_folder_above_is_not_followed_for_ever(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM)
    (folder / "again").symlink_to(folder)
    assert [path.name for path in find([folder]).files] == ["a.yaml"]


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [("ties", True), ("rules/", True), ("ties-*", True), ("*/rules/*.yaml", True), ("tie-*", False), ("ROTATE", False)],
)
def test_a_pattern_means_a_part_of_the_path_or_all_of_a_name(pattern: str, meant: bool) -> None:
    assert is_named(Path("scenarios/rules/ties-rotate.yaml"), [pattern]) is meant


def test_no_pattern_means_every_file() -> None:
    assert is_named(Path("a.yaml"), [])


def test_tags_choose_and_what_cannot_be_read_is_never_left_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, room=ROOM, crowd=CROWD, broken=BROKEN)
    found = [opened(file) for file in find([folder]).files]
    names = [one.path.stem for one in found if is_tagged(one, ["rooms", "nosuch"])]
    assert names == ["broken", "room"]
    assert [one.path.stem for one in found if is_tagged(one, [], ["rooms"])] == ["broken", "crowd"]


def test_an_expectation_that_makes_no_sense_is_a_problem_at_its_line(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM.replace("delivery_latency.p95", "delivery_latecny.p95"))
    found = opened(folder / "a.yaml")
    assert isinstance(found, Broken)
    assert found.problems[0].line == ROOM.splitlines().index("  - delivery_latency.p95 < 2s") + 1
    assert found.problems[0].hint == "delivery_latency.p95"


def test_an_expectation_of_an_override_is_told_as_one(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM)
    found = opened(folder / "a.yaml", ["expect=[jobs == 1.5]"])
    assert isinstance(found, Broken)
    assert str(found.problems[0]).startswith("--set expect=jobs == 1.5")


# --- what has changed since --------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository in which everything is committed on `main`, and a branch is checked out."""
    folder = folder_of(tmp_path, room=ROOM, crowd=CROWD)
    (folder / "meeting.rttm").write_text("SPEAKER m 1 0.5 2.0 <NA> <NA> A <NA> <NA>\n")
    (tmp_path / "mine.py").write_text("")
    meeting = ROOM[: ROOM.index("    members:")] + "    speakers: {rest: {speaks: en}}\n"
    meeting += (
        "    members: [{name: li, speaks: zh}]\n    speech: {meeting: meeting.rttm}\n" + ROOM[ROOM.index("nodes:") :]
    )
    (folder / "meeting.yaml").write_text(meeting)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "checkout", "-q", "-b", "work")
    return tmp_path


def touched(repository: Path, revision: str = "main", scheduler: str | None = None) -> list[str]:
    changes = changed_since(revision, repository / "scenarios", scheduler)
    return [path.stem for path in find([repository]).files if changes.touch(opened(path))]


def test_only_scenarios_that_have_changed_are_touched(repository: Path) -> None:
    assert touched(repository) == []
    path = repository / "scenarios" / "room.yaml"
    path.write_text(ROOM.replace("40s", "50s"))
    (repository / "scenarios" / "new.yaml").write_text(ROOM)
    assert touched(repository) == ["new", "room"]


def test_a_scenario_is_touched_by_its_data_file(repository: Path) -> None:
    (repository / "scenarios" / "meeting.rttm").write_text("SPEAKER m 1 0.5 3.0 <NA> <NA> A <NA> <NA>\n")
    assert touched(repository) == ["meeting"]


def test_what_happened_on_main_meanwhile_touches_nothing(repository: Path) -> None:
    git(repository, "checkout", "-q", "main")
    (repository / "scenarios" / "room.yaml").write_text(ROOM.replace("40s", "50s"))
    git(repository, "commit", "-q", "-a", "-m", "second")
    git(repository, "checkout", "-q", "work")
    assert touched(repository) == []


def test_a_change_of_the_scheduler_touches_every_scenario(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    (repository / "mine.py").write_text("changed = 1\n")
    assert touched(repository) == []
    assert touched(repository, scheduler="mine:make") == ["crowd", "meeting", "room"]


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "", "-x"])
def test_a_revision_that_is_none_is_refused_and_is_no_option(repository: Path, revision: str) -> None:
    with pytest.raises(RevisionError):
        touched(repository, revision)
    assert not (repository / "x").exists()


def test_without_a_repository_nobody_knows_what_has_changed(tmp_path: Path) -> None:
    with pytest.raises(RevisionError, match="not a git repository"):
        changed_since("main", tmp_path)


# --- checking ----------------------------------------------------------------------------------------------------


def test_a_scenario_that_passes_has_a_case_for_the_run_and_each_expectation(tmp_path: Path) -> None:
    (one,) = checked(folder_of(tmp_path, a=ROOM))
    assert (one.word, one.name, one.tags, one.seeds) == ("passed", "A room", ("quick", "rooms"), (1,))
    assert [case.name for case in one.cases] == ["run completed", "violations == 0", "delivery_latency.p95 < 2s"]
    assert one.cases[2].value == 1.0
    assert one.line is None


def test_an_expectation_that_fails_tells_its_line_its_value_and_what_to_type(tmp_path: Path) -> None:
    text = ROOM.replace("p95 < 2s", "p95 < 1s")
    (one,) = checked(folder_of(tmp_path, a=text))
    (bad,) = one.bad
    assert (one.word, bad.word, bad.what) == ("failed", "failed", "is 1 s")
    assert one.line == bad.line == text.splitlines().index("  - delivery_latency.p95 < 1s") + 1
    assert bad.following == ("simroom", "explain", str(one.path), "--slowest", "--seed", "1")


def test_a_breach_fails_the_run_and_is_told(tmp_path: Path) -> None:
    settings = Settings(scheduler="simroom.bugbank.bank:speaker_left_out")
    (one,) = checked(folder_of(tmp_path, a=ROOM), settings)
    run = one.cases[0]
    assert (one.word, run.name, run.word) == ("failed", "run completed", "failed")
    assert "deliveries missing" in run.what
    assert any("I1 recipients" in detail and "room/mei" in detail for detail in run.details)
    assert run.following[1:4] == ("explain", str(one.path), "--violation")
    assert run.following[-2:] == ("--scheduler", "simroom.bugbank.bank:speaker_left_out")


def test_a_bug_that_a_scenario_asks_for_is_no_failure_of_the_run(tmp_path: Path) -> None:
    text = ROOM.replace("expect:\n  - violations == 0", "bug: speaker_left_out\nexpect:\n  - violations != 0")
    (one,) = checked(folder_of(tmp_path, a=text))
    assert one.word == "passed"


def test_two_expectations_with_the_same_words_have_two_names(tmp_path: Path) -> None:
    (one,) = checked(folder_of(tmp_path, a=ROOM + "  - violations == 0\n"))
    assert [case.name for case in one.cases][1:] == [
        "violations == 0",
        "delivery_latency.p95 < 2s",
        "violations == 0 (2)",
    ]


def test_an_invalid_scenario_keeps_no_other_from_being_run(tmp_path: Path) -> None:
    found = checked(folder_of(tmp_path, a=BROKEN, b=ROOM))
    assert [one.word for one in found] == ["invalid", "passed"]
    (case,) = found[0].cases
    assert (case.word, case.line) == ("error", BROKEN.splitlines().index("duration: 40") + 1)
    assert case.following == ("simroom", "validate", str(found[0].path))


def test_a_scheduler_that_raises_is_to_blame_and_the_others_go_on(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM, b=ROOM.replace("zh", "fr"))
    found = checked(folder, Settings(scheduler="regressing:Raising"))
    assert [(one.word, one.blame) for one in found] == [("crashed", "scheduler")] * 2
    (case,) = found[0].cases
    assert case.what == "KeyError: 'no such thing'"
    assert "regressing.py" in case.details[-1]


def test_a_scenario_that_takes_longer_than_its_budget_has_failed(tmp_path: Path) -> None:
    (one,) = checked(folder_of(tmp_path, a=ROOM), Settings(limit_seconds=1e-9))
    assert (one.word, one.cases[0].word) == ("over_time", "failed")
    assert [case.name for case in one.cases] == ["run completed", "violations == 0", "delivery_latency.p95 < 2s"]


def test_a_scenario_that_hangs_is_stopped_and_the_others_go_on(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM, b=ROOM.replace("speaker: mei", "speaker: anna"))
    settings = Settings(scheduler="regressing:Stuck", limit_seconds=0.8)
    plans = [plan_of(opened(file), settings) for file in find([folder]).files]
    with Local(2, limit_seconds=0.8) as executor:
        found = [outcome.checked for outcome in check(plans, settings, executor)]
    assert [one.word for one in found] == ["over_time", "over_time"]
    assert "was stopped: it has 0.8 s" in found[0].cases[0].what


def test_a_scenario_that_is_too_large_is_not_begun(tmp_path: Path) -> None:
    text = CROWD.replace("12/min", "1000/s").replace("count: 6", "count: 900000").replace("60s", "24h")
    (one,) = checked(folder_of(tmp_path, a=text))
    assert one.word == "invalid"
    assert "beyond the budget" in one.cases[0].what


def test_several_replications_are_judged_on_their_interval(tmp_path: Path) -> None:
    text = CROWD + "  - delivery_latency.mean < 10s\n  - delivery_latency.mean < 1ms\n"
    (one,) = checked(folder_of(tmp_path, a=text), Settings(replications=4, seed=7))
    assert [case.word for case in one.cases] == ["passed", "passed", "passed", "failed"]
    assert one.seeds[0] == 7
    assert len(set(one.seeds)) == len(one.replications) == 4
    assert "over 4 replications" in one.cases[2].what


def test_a_bound_inside_the_interval_is_inconclusive_and_says_how_many_more_would_tell(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=CROWD)
    (first,) = checked(folder, Settings(replications=4, overrides=("expect=[delivery_latency.mean < 1s]",)))
    mean = first.cases[1].value
    assert mean is not None
    bound = f"expect=[delivery_latency.mean < {round(mean * 1_000_000) + 100}us]"
    (one,) = checked(folder, Settings(replications=4, overrides=(bound,)))
    assert one.word == one.cases[1].word == "inconclusive"
    assert one.cases[1].following[:2] == ("simroom", "check")
    assert int(one.cases[1].following[4]) > 4


def test_any_number_of_processes_gives_the_same(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM, b=CROWD, c=BROKEN)
    settings = Settings(replications=2)
    plans = [plan_of(opened(file), settings) for file in find([folder]).files]
    with Local(3) as executor:
        many = [outcome.checked for outcome in check(plans, settings, executor)]
    for one, other in zip(checked(folder, settings), many, strict=True):
        assert one.cases == other.cases
        assert [run.trace_hash for run in one.replications] == [run.trace_hash for run in other.replications]


def test_who_has_seen_enough_stops_the_rest(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=ROOM.replace("p95 < 2s", "p95 < 1s"), b=ROOM, c=ROOM)
    done: list[int] = []

    class Watched(Here):
        def map_in_order(self, tasks):  # type: ignore[no-untyped-def]
            for answer in super().map_in_order(tasks):
                done.append(answer.position)
                yield answer

    plans = [plan_of(opened(file), Settings()) for file in find([folder]).files]
    outcomes = check(plans, Settings(), Watched())
    assert next(outcomes).checked.word == "failed"
    outcomes.close()
    assert done == [0]


def test_where_chance_plays_no_part_two_replications_are_enough(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=CROWD, b=ROOM)
    settings = Settings(replications=5)
    plans = [plan_of(opened(file), settings) for file in find([folder]).files]
    found = [outcome.checked for outcome in explored(plans, settings, Here())]
    assert [len(one.replications) for one in found] == [5, 2]
    assert found[0].cases == checked(folder, settings)[0].cases


def test_the_worst_comes_first(tmp_path: Path) -> None:
    failed = ROOM.replace("p95 < 2s", "p95 < 1s")
    found = checked(folder_of(tmp_path, a=ROOM, b=failed, c=failed + "  - jobs == 99\n", d=BROKEN))
    order = [one.path.stem for one in sorted(found, key=lambda one: one.badness)]
    assert order == ["d", "c", "b", "a"]


def test_references_are_the_files_that_a_scenario_needs(repository: Path) -> None:
    found = opened(repository / "scenarios" / "meeting.yaml")
    assert isinstance(found, finding.Opened), found
    assert finding.references(found.scenario) == ("meeting.rttm",)
