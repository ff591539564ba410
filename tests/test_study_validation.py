"""Known answers: paths agree to the microsecond, means within their intervals, and every sabotage is noticed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from simroom.cli import exits
from simroom.cli.validate_model import QUICK, Options, validate_model
from simroom.study.executors import Local
from simroom.study.truths import SABOTAGES, Case, Sabotage, cases
from simroom.study.validation import Row, Sample, judged, paths, replicated, validate

BY_NAME = {case.name: case for case in cases()}


@pytest.fixture(scope="module")
def executor() -> Iterator[Local]:
    with Local(2) as local:
        yield local


def row(name: str, executor: Local, sabotage: Sabotage | None = None) -> Row:
    (found,) = validate([BY_NAME[name]], executor, seed=3, quick=True, sabotage=sabotage)
    return found


def test_every_queue_has_a_name_of_its_own_and_a_truth() -> None:
    assert len(BY_NAME) == len(cases())
    assert all(case.truth > 0 for case in cases())
    assert set(BY_NAME) >= QUICK


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("M/M/1 0.9", 10), ("M/D/1 0.9", 5.5), ("M/G/1 cv2=4 0.9", 23.5), ("M/M/2 a=1.8 wait", 4.263158),
        ("M/M/100 a=95 wait", 0.101291), ("M/M/14 a=10 waited", 0.17413193), ("B(2; 1) constant", 0.2),
        ("B(12; 10) exponential", 0.119739), ("best of 2 of 100, 0.9, different ones", 2.6454),
        ("shortest of 2, 0.9", 5.474913), ("best of 2 of 10, 0.9", 2.8003 / 0.9),
        ("shortest of 100, 0.9, every 1 s", 4.014),
    ],
)  # fmt: skip
def test_the_truths_are_those_that_are_published(name: str, truth: float) -> None:
    assert BY_NAME[name].truth == pytest.approx(truth, rel=1e-5)


def test_paths_agree_to_the_microsecond() -> None:
    walked = list(paths(seed=5))
    assert len(walked) == 5
    assert [path.difference for path in walked] == [None] * 5
    assert all(path.jobs > 500 for path in walked)


@pytest.mark.parametrize("sabotage", ["slot", "report"])
def test_a_spoilt_world_leaves_the_path(sabotage: Sabotage) -> None:
    assert any(path.difference is not None for path in paths(5, sabotage))


@pytest.mark.parametrize("name", ["M/D/1 0.5", "B(2; 1) constant", "best of 2 of 100, 0.5, different ones"])
def test_means_agree_with_what_is_known(name: str, executor: Local) -> None:
    """A right program fails one of these for one choice of seed in four hundred."""
    found = row(name, executor)
    assert found.word == "passed", found
    assert found.found is not None
    assert found.found.n == 20


@pytest.mark.parametrize(
    ("name", "sabotage", "jobs"),
    [
        ("M/D/1 0.5", "report", 6_000),
        ("B(12; 10) exponential", "slot", 2_000),
        ("shortest of 3, 0.5", "slot", 2_000),
        ("best of 2 of 100, 0.7, different ones", "ties", 2_000),
        ("B(2; 1) constant", "arrivals", 20_000),
    ],
)
def test_every_sabotage_is_noticed(name: str, sabotage: Sabotage, jobs: int, executor: Local) -> None:
    case = BY_NAME[name]
    larger = Case(**{field: getattr(case, field) for field in case.__struct_fields__} | {"jobs": jobs})
    (found,) = validate([larger], executor, seed=3, quick=True, sabotage=sabotage)
    assert found.word == "failed", found


def test_the_sabotages_that_are_named_are_those_that_are_tried() -> None:
    assert set(SABOTAGES) == {"report", "slot", "ties", "arrivals"}


def test_what_is_right_but_not_sharp_is_not_passed() -> None:
    case = BY_NAME["M/M/1 0.5"]
    samples = [Sample(value, 100, 0.0) for value in (1.0, 3.0, 1.5, 2.6)]
    assert judged(case, samples, 0.0, 0.005).word == "blunt"
    assert judged(case, samples, 0.0, 0.5).word == "passed"
    assert judged(case, [Sample(value, 100, 0.0) for value in (2.5, 2.51, 2.52)], 0.0, 0.5).word == "failed"


def test_replications_that_break_a_rule_or_measure_nothing_give_no_value() -> None:
    case = BY_NAME["M/M/1 0.5"]
    assert replicated(case, 50, 1, None).value is not None
    assert judged(case, [Sample(None, 0, 0.0)] * 3, 0.0, 0.5).word == "failed"


def test_the_command_tells_it_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = validate_model(Options(quick=True, only=("M/D/1 0.5",), as_json=True, jobs=2))
    content = json.loads(capsys.readouterr().out)
    assert code == exits.PASSED
    assert [queue["name"] for queue in content["queues"]] == ["M/D/1 0.5"]


@pytest.mark.parametrize(
    "options",
    [Options(only=("M/M/7",)), Options(sabotage="arrival"), Options(precision="much"), Options(precision="0%")],
)
def test_wrong_usage_is_refused(options: Options) -> None:
    with pytest.raises(exits.StopError) as stop:
        validate_model(options)
    assert stop.value.code == exits.INVALID
