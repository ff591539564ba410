"""GitHub Actions: annotations where the fault is, a summary that stays small, and names that cannot command it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from regressing import HOSTILE
from test_report_junit import RUN, checked

from simroom.report.github import Actions, actions, harmless, marks, quietly, step_summary
from simroom.study.checked import Case, Checked, Tally

NOWHERE = Actions(workspace=None, summary=None)
_COMMAND = re.compile(r"^::(error|warning) (file=[^,:]*,line=\d+,)?title=[^,:]*::.*$")


def failing(count: int = 1, *, path: str = "scenarios/a.yaml", name: str = "A", what: str = "is 3") -> Checked:
    """A scenario of which so many expectations fail."""
    cases = (Case(f"jobs == {number}", "failed", what, number + 1) for number in range(count))
    return checked(RUN, *cases, path=path, name=name)


def tally(*each: Checked) -> Tally:
    return Tally(checked=each, wall_seconds=1.0, interrupted=False, left_out=0)


def test_it_runs_in_a_step_only_where_the_environment_says_so() -> None:
    assert actions({}) is None
    assert actions({"GITHUB_ACTIONS": "false"}) is None
    found = actions({"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/w", "GITHUB_STEP_SUMMARY": "/s"})
    assert found == Actions(Path("/w"), Path("/s"))


def test_a_failure_is_marked_on_its_own_line_with_what_to_type() -> None:
    case = Case("jobs == 2", "failed", "is 3", 12, details=("more",), following=("simroom", "run", "a.yaml"))
    assert marks([checked(RUN, case)], NOWHERE) == (
        "::error file=scenarios/a.yaml,line=12,title=A%3A jobs == 2::is 3%0Amore%0Asimroom run a.yaml\n"
    )


def test_what_is_inconclusive_is_a_warning() -> None:
    assert marks([checked(RUN, Case("baseline", "inconclusive", "none"))], NOWHERE).startswith("::warning file=")


def test_what_passes_is_not_marked() -> None:
    assert marks([checked(RUN)], NOWHERE) == ""


def test_nine_are_marked_and_the_others_counted_the_worst_first() -> None:
    lines = marks([failing(2, path="few.yaml"), failing(12, path="many.yaml")], NOWHERE).splitlines()
    assert len(lines) == 10
    assert all("file=many.yaml" in line for line in lines[:9])
    assert lines[9] == "::error title=simroom check::5 more, in the log and the summary of this step"


def test_files_are_told_as_the_repository_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    found = marks([failing(path="a.yaml")], Actions(tmp_path, None))
    assert "file=inside/a.yaml," in found


@given(st.text(max_size=60))
def test_no_name_can_be_a_command(text: str) -> None:
    name = text.replace("\0", "0")
    found = marks([failing(path=f"x{name}", name=name, what=text)], NOWHERE)
    (line,) = found.splitlines()
    assert _COMMAND.match(line)
    assert "\x1b" not in line


def test_a_percent_sign_is_read_back_as_one() -> None:
    line = marks([failing(name="50%0A,:", what="100%0A")], NOWHERE)
    assert "title=50%250A%2C%3A%3A jobs == 0::100%250A" in line


def test_what_stands_between_stop_and_its_token_is_text() -> None:
    written: list[str] = []
    ended = quietly(written.append)
    other = quietly(written.append)
    ended()
    token = written[0].removeprefix("::stop-commands::").strip()
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert written[2] == f"::{token}::\n"
    assert written[1] != written[0]
    other()


def test_json_holds_no_mark_of_older_commands_and_means_the_same() -> None:
    text = json.dumps({"name": "##[error]x"})
    assert "##[" not in harmless(text)
    assert json.loads(harmless(text)) == json.loads(text)


def test_the_summary_has_a_row_for_each_thing_that_does_not_pass() -> None:
    text = step_summary(tally(failing(3), checked(RUN, path="b.yaml")))
    assert text.startswith("### simroom check: failed\n\n1 failed, 1 passed · 1.0 s\n")
    rows = [line for line in text.splitlines() if line.startswith("| <code>")]
    assert len(rows) == 3
    assert "b.yaml" not in text


def test_the_summary_of_very_much_stays_below_what_github_shows() -> None:
    text = step_summary(tally(*(failing(50, path=f"{number}.yaml", what="x" * 400) for number in range(100))))
    assert 850_000 < len(text.encode()) <= 900_000
    assert re.search(r"\n[\d,]+ more are not shown here\.\n", text)


def test_nothing_in_the_summary_is_markdown_or_html_of_somebody_elses() -> None:
    text = step_summary(tally(failing(name=HOSTILE, path=HOSTILE, what=HOSTILE)))
    row = next(line for line in text.splitlines() if "onerror" in line)
    inner = re.sub(r"</?code>", "", row)
    assert not re.search(r"[<>`*_@\[\]]", inner)
    assert inner.count("|") == 6
    assert "\x1b" not in text
    assert "\u202e" not in text
