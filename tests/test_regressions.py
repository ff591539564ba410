"""Every scenario that once failed: it passes now, and still fails under the broken scheduler that it was found with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simroom.bugbank import BUGS
from simroom.scenario.load import load
from simroom.scenario.yaml12 import read
from simroom.study.shrink import operations
from simroom.study.trial import judged, ran

FOLDER = Path(__file__).parent.parent / "scenarios" / "regressions"
FILES = sorted(FOLDER.glob("*.yaml"))
OPERATIONS_MAX = 10


def test_there_are_some() -> None:
    assert len(FILES) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_once_failed_passes(path: Path) -> None:
    trial = judged(ran(load(path)))
    assert trial.signature == ()
    assert any(trial.judgements.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_fails_still_with_the_bug_that_it_was_found_with(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^# Found by: .*--bug (\w+)", text, re.MULTILINE)
    if found is None:
        pytest.skip("found without a bug of the bank")
    title = text.splitlines()[0]
    invariant = title.removeprefix("# ").split(" ", 1)[0]
    trial = judged(ran(load(path), scheduler=BUGS[found[1]].make))
    assert invariant in {sign for sign, _ in trial.signature}, trial.signature


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_person_can_read_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert operations(read(text, path.name).data) <= OPERATIONS_MAX
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert 5 < len(comments) < 20, "a story of some ten lines"
    assert f"simroom run scenarios/regressions/{path.name}" in comments[-1]
