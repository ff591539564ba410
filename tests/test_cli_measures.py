"""``simroom measures``: every measure with its unit, formula, statistics and selectors."""

from __future__ import annotations

import json

import pytest

from simroom.cli import exits
from simroom.cli.measures import Options, measures
from simroom.study.measures import MEASURES


def test_all_of_them_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert measures(Options(colour=False)) == exits.PASSED
    said = capsys.readouterr().out
    assert all(f"\n{name}  " in f"\n{said}" for name in MEASURES)
    assert "cause: why it came to nothing" in said


def test_some_are_told_by_the_beginning_of_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert measures(Options(("fairness", "offered_load"), as_json=True)) == exits.PASSED
    told = json.loads(capsys.readouterr().out)["measures"]
    assert [each["name"] for each in told] == ["offered_load", "fairness.rooms", "fairness.languages"]
    assert all(each["formula"] for each in told)


def test_an_unknown_one_is_refused_with_the_nearest() -> None:
    with pytest.raises(exits.StopError, match="did you mean throughput") as stop:
        measures(Options(("throughputs",)))
    assert stop.value.code == exits.INVALID
