"""Comparing two runs: the first decision in which they differ, what moved, and runs that were recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from regressing import CROWD, ROOM, folder_of

from simroom import api
from simroom.study.check import Here
from simroom.study.compare import Comparison, held
from simroom.study.judging import concluded
from simroom.study.recorded import RecordError, recorded, recorded_routes
from simroom.study.replicate import Asked, replicate
from simroom.study.replication import ScenarioSource
from simroom.study.routes import Route
from simroom.study.study_record import StudyRecord, write_study
from simroom.study.summary import Source
from simroom.study.ways import RunError


def route(speaker: str = "mei", *, at: int = 10, **changes: object) -> Route:
    """A job that ran on node a and reached anna at 30."""
    whole = Route(
        speaker=speaker,
        spoken_at=at - 1,
        index=0,
        language="en",
        at=at,
        node="a",
        attempts=1,
        placed_at=at,
        end="delivered",
        ended_at=at + 10,
        recipients=("anna",),
        arrived_at=(at + 20,),
    )
    return replace(whole, **changes)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- job by job --------------------------------------------------------------------------------------------------


def test_equal_runs_differ_in_nothing() -> None:
    found = held([route(), route("li", at=20)], [route(), route("li", at=20)])
    assert found.same
    assert found.first is None
    assert (found.jobs.both, found.jobs.moved, found.deliveries.both) == (2, 0, 2)


def test_the_first_difference_is_the_earliest_decision_and_not_the_first_job() -> None:
    before = [route(ended_at=50), route("li", at=20, node="a")]
    after = [route(ended_at=50, recipients=("anna", "mei"), arrived_at=(30, 30)), route("li", at=20, node="b")]
    found = held(before, after)
    assert found.first is not None
    assert (found.first.what, found.first.at, found.first.route.speaker) == ("selection", 20, "li")
    assert [one.what for one in found.decisions] == ["selection", "routing"]
    assert (found.jobs.elsewhere, found.deliveries.only_after) == (1, 1)


def test_a_job_that_only_one_has_is_a_difference_when_it_is_made() -> None:
    found = held([route(), route(language="ja")], [route()])
    assert found.first is not None
    assert (found.first.what, found.first.after) == ("job", None)
    assert (found.jobs.only_before, found.jobs.both, found.deliveries.only_before) == (1, 1, 1)


def test_a_job_that_ends_otherwise_is_told_as_that_and_not_as_another_routing() -> None:
    found = held([route()], [route(end="expired", recipients=(), arrived_at=(), ended_at=15)])
    assert [one.what for one in found.decisions] == ["end"]
    assert found.first is not None
    assert found.first.at == 15


def test_deliveries_that_come_at_other_times_are_no_other_decision() -> None:
    found = held([route(), route("li", at=20)], [route(arrived_at=(33,)), route("li", at=20, arrived_at=(39,))])
    assert (found.decision_count, found.same) == (0, False)
    moved = found.deliveries
    assert (moved.later, moved.earlier, moved.mean_shift) == (1, 1, 1.0)
    assert [(one.shift, one.recipient) for one in moved.most] == [(3, "anna"), (-1, "anna")]


def test_a_result_that_came_twice_is_one_delivery_more() -> None:
    found = held([route()], [route(recipients=("anna", "anna"), arrived_at=(30, 31))])
    assert (found.deliveries.both, found.deliveries.only_after) == (1, 1)


def test_jobs_that_are_alike_are_matched_in_order() -> None:
    found = held([route(), route(node="b")], [route(), route(node="b")])
    assert found.same


# --- two ways ----------------------------------------------------------------------------------------------------


def test_a_scenario_compared_with_itself_is_the_same() -> None:
    folder_of(Path(), a=CROWD)
    found = api.compare("scenarios/a.yaml", replications=2)
    assert found.word == "same"
    assert found.before.trace_hash == found.after.trace_hash
    assert found.lives == (None, None)


def test_a_setting_is_told_by_the_first_decision_that_it_changes() -> None:
    folder_of(Path(), a=ROOM)
    found = api.compare("scenarios/a.yaml", after_overrides=["scheduler.sticky=room"], replications=2)
    assert found.runs is not None
    first = found.runs.first
    assert first is not None
    assert first.before is not None
    assert first.after is not None
    assert (first.what, first.at) == ("selection", 3_000_000)
    assert (first.before.node, first.after.node) == ("node-2", "node-1")
    before, after = found.lives
    assert before is not None
    assert after is not None
    assert any("sticky: room" in (step.rule or "") for step in after.steps)
    assert not any("sticky" in (step.rule or "") for step in before.steps)
    assert found.notes == ("the scenarios differ in scheduler",)
    # Jobs of the room wait for each other on one node.
    assert found.word == "worse"


def test_a_scheduler_that_leaves_somebody_out_is_worse() -> None:
    folder_of(Path(), a=ROOM)
    found = api.compare("scenarios/a.yaml", after_scheduler="simroom.bugbank.bank:speaker_left_out", replications=2)
    assert found.word == "worse"
    assert found.runs is not None
    assert found.runs.first is not None
    assert found.runs.first.what == "routing"
    worse = {one.goal.name for one in found.differences if one.word == "worse"}
    assert worse >= {"violations", "deliveries"}
    assert found.differences[0].word == "worse"


def test_two_schedulers_can_be_compared() -> None:
    folder_of(Path(), a=ROOM)
    found = api.compare(
        "scenarios/a.yaml",
        before_scheduler="regressing:nothing",
        after_scheduler="regressing:ties",
        replications=2,
    )
    assert (found.before.label, found.after.label) == (
        "scenarios/a.yaml --scheduler regressing:nothing",
        "scenarios/a.yaml --scheduler regressing:ties",
    )
    assert found.runs is not None
    assert found.runs.jobs.elsewhere > 0


def test_a_scheduler_that_raises_is_said_to_have() -> None:
    folder_of(Path(), a=ROOM)
    with pytest.raises(RunError, match="--scheduler regressing:Raising: KeyError: 'no such thing'") as raised:
        api.compare("scenarios/a.yaml", after_scheduler="regressing:Raising")
    assert raised.value.blame == "scheduler"


# --- what was recorded -------------------------------------------------------------------------------------------


def run_folders(*pairs: tuple[str, dict[str, object]], text: str = ROOM) -> list[Path]:
    """Run folders of the same scenario, run in several ways."""
    folder_of(Path(), a=text)
    return [api.run("scenarios/a.yaml", **options).save(name) for name, options in pairs]  # type: ignore[arg-type]


def compared(before: Path, after: Path) -> Comparison:
    return api.compare(before, after)


def test_two_folders_of_the_same_run_are_the_same() -> None:
    found = compared(*run_folders(("one", {}), ("two", {})))
    assert found.word == "same"


def test_rows_that_were_recorded_say_what_the_run_said() -> None:
    (folder,) = run_folders(("one", {}), text=CROWD)
    result = api.run("scenarios/a.yaml")
    recorded_jobs = recorded_routes(folder)
    assert [replace(one, placed_at=None) for one in result.jobs()] == recorded_jobs
    figures = recorded(folder).values[result.seed]
    for name in ("jobs", "deliveries", "delivery_latency.p95", "throughput", "jobs.rejected", "nodes.utilisation.max"):
        assert figures[name] == pytest.approx(result.value(name), abs=1e-6), name


def test_the_first_difference_of_two_folders_is_told_by_running_them_again() -> None:
    found = compared(*run_folders(("one", {}), ("two", {"overrides": ["scheduler.sticky=room"]})))
    assert found.runs is not None
    assert found.runs.first is not None
    assert (found.runs.first.what, found.runs.first.route.language) == ("selection", "ja")
    assert all(life is not None for life in found.lives)
    assert found.notes == ("they are of different scenarios: they differ in scheduler",)


def test_a_folder_of_another_version_is_compared_by_what_it_recorded() -> None:
    one, two = run_folders(("one", {}), ("two", {"scheduler": "simroom.bugbank.bank:speaker_left_out"}))
    found = compared(one, two)
    assert found.runs is not None
    assert found.runs.first is not None
    assert (found.runs.first.what, found.runs.first.at) == ("routing", 4_000_000)
    assert found.lives[0] is not None
    assert found.lives[1] is None
    assert any("run again it comes to something else" in note for note in found.notes)
    # Of a single pair no interval says anything, but a breach is one too many.
    assert found.word == "worse"
    assert [one.word for one in found.differences if one.goal.name == "violations"] == ["worse"]


def test_runs_with_other_luck_are_not_compared_job_by_job() -> None:
    found = compared(*run_folders(("one", {"seed": 1}), ("two", {"seed": 2}), text=CROWD))
    assert found.runs is None
    assert found.seeds == ()
    assert found.word == "different"
    assert any("their luck differs (seeds 1 and 2)" in note for note in found.notes)


def test_packed_rows_are_read_and_left_out_rows_are_said_to_be() -> None:
    folder_of(Path(), a=ROOM)
    result = api.run("scenarios/a.yaml")
    packed = result.save("packed", rows="csv.gz")
    plain = result.save("plain")
    none = result.save("none", rows="none")
    assert recorded_routes(packed) == recorded_routes(plain)
    found = compared(plain, none)
    assert found.runs is None
    assert any("were not kept" in note for note in found.notes)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("summary.json", "{"),
        ("summary.json", "[]"),
        ("summary.json", "{}"),
        ("summary.json", '{"kind": "check"}'),
        ("deliveries.csv", "a,b\n1,2\n"),
        ("deliveries.csv", ""),
    ],
)
def test_a_damaged_folder_is_refused(file: str, content: str) -> None:
    one, two = run_folders(("one", {}), ("two", {"scheduler": "regressing:ties"}))
    (two / file).write_text(content)
    with pytest.raises(RecordError):
        compared(one, two)


def test_a_row_that_is_no_row_is_damage() -> None:
    one, two = run_folders(("one", {}), ("two", {}))
    path = two / "deliveries.csv"
    path.write_text(path.read_text().replace(",mei,", ",").replace("room/mei", "x", 1).replace("3000000", "soon", 1))
    with pytest.raises(RecordError, match="damaged"):
        compared(one, two)


def test_a_folder_that_is_none_is_refused() -> None:
    Path("empty").mkdir()
    (one,) = run_folders(("one", {}))
    with pytest.raises(RecordError, match=r"empty is no run folder: it has no summary\.json"):
        compared(one, Path("empty"))


def test_a_folder_whose_scenario_is_gone_is_still_compared() -> None:
    one, two = run_folders(("one", {}), ("two", {"overrides": ["scheduler.sticky=room"]}))
    (two / "scenario.yaml").unlink()
    found = compared(one, two)
    assert found.runs is not None
    assert found.lives[0] is not None
    assert found.lives[1] is None


def test_a_folder_that_had_a_scheduler_of_its_own_does_not_run_it_again() -> None:
    one, two = run_folders(("one", {}), ("two", {"overrides": ["scheduler.sticky=room"]}))
    content = json.loads((two / "summary.json").read_text())
    (two / "summary.json").write_text(json.dumps({**content, "scheduler": "os:system"}))
    found = compared(one, two)
    assert found.lives[1] is None
    assert any("it had a scheduler of its own" in note for note in found.notes)


def test_folders_of_studies_are_compared_seed_by_seed(tmp_path: Path) -> None:
    folder_of(tmp_path, a=CROWD)
    for name, overrides in (("one", ()), ("two", ("nodes.node.service=900ms",))):
        source = ScenarioSource("scenarios/a.yaml", overrides=overrides)
        study = replicate(source, executor=Here(), asked=Asked(4))
        told = Source(name="a", file="a.yaml", hash=study.scenario.digest)
        write_study(StudyRecord(study, concluded(study), told, 1, 0.1), tmp_path, name, log=str)
    found = compared(tmp_path / "one", tmp_path / "two")
    assert len(found.seeds) == 4
    latency = next(one for one in found.differences if one.goal.name == "delivery_latency.mean")
    assert (latency.word, latency.pairs) == ("worse", 4)
    assert found.runs is None
