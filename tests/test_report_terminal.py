"""What a run says on the terminal: the verdict first, honest, within 80 columns, and nothing but text."""

from __future__ import annotations

import io
import os
from pathlib import Path

import msgspec
import pytest
from rich.console import Console, RenderableType
from test_study_example import SECOND, Scribe, breach, empty, example, scenario, uses, verdict, written
from test_study_rows import HOSTILE

from simroom.report import figures
from simroom.report.console import console, plain_text, say, write
from simroom.report.progress import ProgressLine
from simroom.report.terminal import Next, Written, headline, report
from simroom.sim.run import Progress, RunData
from simroom.sim.tally import FaultUse
from simroom.study.conclusion import conclude
from simroom.study.expect import read
from simroom.study.summary import Source, Timing
from simroom.study.table import Table

SOURCE = Source(name="Stand-up in three languages", file="standup.yaml", hash="0f" * 32)
SPENT = Timing(wall_seconds=0.08, cpu_seconds=0.08, simulated_time=60 * SECOND, events=10)
NEXT = Next(again="simroom run standup.yaml --seed 7", inspect="simroom inspect standup.yaml")


def parts(run: RunData, *expectations: str, source: Source = SOURCE) -> list[RenderableType]:
    table = Table(run)
    concluded = conclude(table, [read(text, line) for line, text in enumerate(expectations, 12)])
    return report(table, concluded, source, SPENT, written=Written(Path("out"), ("summary.json",)), following=NEXT)


def told(run: RunData, *expectations: str, source: Source = SOURCE) -> str:
    return plain_text(parts(run, *expectations, source=source))


def line_with(text: str, start: str) -> str:
    [line] = [line for line in text.splitlines() if line.lstrip().startswith(start)]
    return " ".join(line.split())


def test_the_verdict_comes_first_with_what_was_run() -> None:
    first, second, *_ = told(example()).strip().splitlines()
    assert first.strip() == "PASSED  Stand-up in three languages"
    assert second.strip() == "seed 7 · 1 min 2 s simulated in 0.1 s (750\u00d7)"


def test_a_short_name_leaves_the_headline_on_one_line() -> None:
    table = Table(example())
    source = Source(name="Stand-up", file="standup.yaml", hash="0" * 64)
    text = plain_text(headline(table, conclude(table, ()), source, SPENT))
    assert text.strip() == "PASSED  Stand-up · seed 7 · 1 min 2 s simulated in 0.1 s (750\u00d7)"


def test_counts_have_their_names_and_reasons() -> None:
    text = told(example(verdict=verdict(uncounted={"late": 2, "unknown": 0})))
    assert "5 utterances → 7 jobs → 5 deliveries" in text
    assert "missing 0 · extra 0 · duplicate 0 · out of order 0 · leaked 0" in text
    assert line_with(text, "Jobs") == "Jobs delivered 4 · failed 1 · rejected 1 · living 1"
    assert "no node for 1: CAPACITY_EXCEEDED 1" in text
    assert "results that counted for nothing: late 2\n" in text
    assert "unspoken" not in text
    assert "1 more unspoken" in told(example(unspoken=1))


def test_latencies_come_with_their_parts_languages_and_sizes() -> None:
    text = told(example())
    assert line_with(text, "Latency") == "Latency, s mean p50 p90 p95 p99 max n"
    assert line_with(text, "delivery ") == "delivery 1.252 1.200 1.610 1.610 1.610 1.610 4"
    assert line_with(text, "hold") == "hold 0.110 0.000 0.220 0.220 0.220 0.220 4"
    assert line_with(text, "ja") == "ja 1.580 1.550 1.610 1.610 1.610 1.610 2"
    assert line_with(text, "fan-out skew").endswith("0.060 1")
    # Room size 2 got nothing: no row without samples.
    assert "by room size" not in text
    assert "10 s of warm-up" in text


def test_latencies_below_a_second_are_shown_in_milliseconds() -> None:
    scribe = Scribe()
    heard = scribe.utterance("a", None, 0, "en", 19_000, 20_000)
    scribe.received(heard, 20_010)
    scribe.job(heard, "zh", "n1", start=20_020, stages=(40, 10, 10), answered=20_090, ended=20_090, to={"a": 20_100})
    text = told(example(ledger=scribe.ledger, room_sizes=(), room_groups=()))
    assert line_with(text, "Latency").startswith("Latency, ms")
    assert line_with(text, "delivery ") == "delivery 100.0 100.0 100.0 100.0 100.0 100.0 1"


def test_nodes_show_their_utilisation_by_group() -> None:
    assert line_with(told(example()), "Nodes") == "Nodes 2 desktop: 30.0 % busy (min 20.0 %, max 40.0 %) · stable"


def test_expectations_show_value_and_for_a_failure_the_place_in_the_file() -> None:
    text = told(example(), "violations == 0", "delivery_latency.p99 < 1.61s", "jobs{language=fr} == 0")
    assert "✓ violations == 0   is 0\n" in text
    assert "✗ delivery_latency.p99 < 1.61s   is 1.61 s   (standup.yaml:13)" in text
    assert "✗ jobs{language=fr} == 0   this run has no language 'fr'; it has zh, en, ja" in text
    assert text.strip().startswith("FAILED  2 of 3 expectations do not hold")


def test_a_value_that_fails_is_never_rounded_onto_its_bound() -> None:
    text = told(example(), "nodes.utilisation.mean < 29.99999%", "delivery_latency.mean < 1.25249s")
    assert "is 30 %" in text
    assert "is 1.2525 s" in text


def test_a_failure_leads_with_what_broke_and_for_whom() -> None:
    found = tuple(breach(utterance_index=index) for index in range(7))
    text = told(example(verdict=verdict(violations=found, counts={"missing": 9})))
    lines = text.strip().splitlines()
    assert lines[0] == "FAILED  9 of 14 deliveries missing"
    assert lines[3].split() == [
        "I1",
        "recipients",
        "00:11.500",
        "r1/zh",
        "#0",
        "→",
        "ja:",
        "r1/ja2",
        "should",
        "have",
        "got",
        "it,",
        "nobody",
        "did",
    ]
    assert "room r1 · job job-4E1 · node n2 · for r1/ja2" in lines[4]
    assert text.count("should have got it") == 5
    assert "4 more" in text
    assert "Next          simroom run standup.yaml --seed 7" in text


def test_invariants_that_were_never_judged_are_named() -> None:
    text = told(example(verdict=verdict(judgements={"I1": 3, "I2": 4})))
    assert (
        "2 invariants, 7 judgements · never judged: I3, I4, I5, I6, I7, L1, L2, L3, L4, token, reply, may, must"
        in " ".join(text.split())
    )


def test_faults_are_told_with_how_often_they_struck_those_alike_together() -> None:
    def use(label: str, count: int) -> FaultUse:
        return FaultUse(label, label.split(maxsplit=1)[0], count, (), ())

    faults = (use("crash desktop-1", 3), use("slow 1 of all nodes", 1_200), use("crash desktop-1", 1), use("clog a", 0))
    text = " ".join(told(example(faults=faults)).split())
    assert "Faults crash desktop-1 4\u00d7 · slow 1 of all nodes 1,200\u00d7 · clog a 0\u00d7 Jobs" in text
    assert "! fault clog a never fired" in text
    assert "Faults" not in told(example())
    many = " ".join(told(example(faults=tuple(use(f"crash n-{number}", 1) for number in range(14)))).split())
    assert "crash n-9 1\u00d7 · 4 more" in many


def test_the_headline_says_which_bug_was_on() -> None:
    run = example(
        scenario=scenario(bug="no_order"),
        verdict=verdict(violations=(breach(),), counts={"missing": 1}, breaches={("I1", "missing"): 1}),
    )
    first, second, *_ = told(run, "violations{invariant=I1} == 1").strip().splitlines()
    assert first.strip() == "PASSED  Stand-up in three languages · with the bug no_order"
    assert second.strip().startswith("seed 7")


def test_a_halted_run_leads_with_why() -> None:
    text = told(example(halted="the scheduler did not answer within 60 s: utterance at 12 s"))
    assert text.strip().startswith("FAILED  the run was halted: the scheduler did not answer within 60 s")


def test_what_is_stuck_is_told_among_what_broke() -> None:
    found = breach(invariant="L1", kind="stuck", what="nothing was heard of its end, due 5.000 s ago", recipients=())
    text = told(example(verdict=verdict(violations=(found,), counts={"stuck": 1}, breaches={("L1", "stuck"): 1})))
    assert text.strip().startswith("FAILED  1 violation of liveness")
    assert "stuck 1" in text
    assert "nothing was heard of its end" in text


def test_an_empty_run_says_so_loudly_and_shows_no_figures() -> None:
    text = told(empty())
    assert "INCONCLUSIVE" in text
    assert "! NOTHING WAS SAID" in text
    assert "Latency" not in text


def test_an_interrupted_run_is_marked_partial_in_its_first_lines() -> None:
    lines = told(example(interrupted=True)).strip().splitlines()
    assert lines[0].startswith("INTERRUPTED  the run was interrupted")
    assert lines[1].endswith("PARTIAL")


# --- only text ---------------------------------------------------------------------------------------------------


def hostile() -> RunData:
    names = {key: f"{key}{HOSTILE}" for key in ("r1", "r2", "r1/zh", "r1/en", "r1/ja1", "r1/ja2", "n1", "n2", "solo")}
    found = breach(what=f"{HOSTILE} should have", room=HOSTILE, speaker=HOSTILE, recipients=(HOSTILE,), node=HOSTILE)
    group = f"[bold red on white]desktop[/]{HOSTILE}"
    nodes = tuple(msgspec.structs.replace(use, group=group) for use in uses())
    return example(
        ledger=written(names),
        nodes=nodes,
        verdict=verdict(violations=(found,), counts={"missing": 1}, refusals={HOSTILE: 1}),
    )


@pytest.mark.parametrize("width", [80, 100])
def test_hostile_names_are_shown_and_steer_nothing(width: int) -> None:
    file = io.StringIO()
    shown = Console(file=file, width=width, force_terminal=True, color_system=None, highlight=False, markup=False)
    expected = (
        "jobs{room=" + HOSTILE.replace("{", "(").replace("}", ")").replace("=", "-").replace(">", "") + "} == 0",
    )
    content = parts(hostile(), *expected, source=Source(name=HOSTILE, file=HOSTILE, hash="0f" * 32))
    say(shown, content)
    text = file.getvalue()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\e[31m\\u202e" in text.replace("\n", "")
    assert "[bold red on white]desktop[/]" in "".join(text.split("\n"))
    assert "\x1b" not in plain_text(content)


def test_eighty_columns_suffice() -> None:
    file = io.StringIO()
    found = breach(what="a long sentence that says in all detail what should have happened and what happened instead")
    run = example(verdict=verdict(violations=(found,), counts={"missing": 1}))
    say(Console(file=file, width=80), parts(run, "delivery_latency{language=ja,room=standup}.p99 < 1s"))
    assert max(len(line.rstrip()) for line in file.getvalue().splitlines()) <= 80
    assert "…" not in file.getvalue()


def test_no_colour_is_no_escape_sequence_and_colour_says_nothing_that_text_does_not(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    content = parts(example(), "violations == 0", "jobs.failed == 0")

    def shown(*, colour: bool) -> str:
        file = io.StringIO()
        say(console(file, colour=colour), content)
        return file.getvalue()

    assert "\x1b[" in shown(colour=True)
    assert "\x1b" not in shown(colour=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(colour=True)
    for word in ("FAILED", "✓", "✗"):
        assert word in shown(colour=False)


def test_an_output_without_these_characters_gets_ascii() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    say(Console(file=file, width=80), parts(example(scenario=scenario(name="会議")), "violations == 0"))
    text = raw.getvalue().decode("ascii")
    assert "5 utterances -> 7 jobs -> 5 deliveries" in text
    assert "+ violations == 0" in text


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        write(file, "nobody reads this\n")
        write(file, "nor this\n")


def test_the_headline_is_all_a_quiet_run_needs() -> None:
    table = Table(example())
    text = plain_text(headline(table, conclude(table, ()), SOURCE, SPENT))
    assert len(text.splitlines()) == 2


def test_progress_is_drawn_when_called_and_taken_away_at_the_end(monkeypatch, capsys) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ProgressLine(colour=True) as line:
        line(Progress(simulated_time=90 * SECOND, until=600 * SECOND, events=9, utterances=1_234, jobs=2, deliveries=3))
    out, err = capsys.readouterr()
    assert out == ""
    assert "1,234 said · 2 jobs · 3 delivered" in err
    assert "01:30 in 0 s" in err


# --- figures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "text"),
    [(0, "0 µs"), (850, "850 µs"), (42_000, "42.0 ms"), (3_410_000, "3.41 s"), (750_000_000, "12.5 min")],
)
def test_a_time_is_shown_in_the_unit_that_suits_it(span: int, text: str) -> None:
    assert figures.time(span) == text


@pytest.mark.parametrize(
    ("instant", "text"),
    [(0, "00:00.000"), (494_220_000, "08:14.220"), (4_094_220_999, "1:08:14.220"), (-3_000_000, "-00:03.000")],
)
def test_an_instant_is_shown_as_on_a_stopwatch(instant: int, text: str) -> None:
    assert figures.clock(instant) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0 s"),
        (45_500_000, "45.5 s"),
        (600_000_000, "10 min"),
        (5_400_000_000, "1 h 30 min"),
        (62_000_000, "1 min 2 s"),
    ],
)
def test_a_long_time_is_shown_as_one_says_it(span: int, text: str) -> None:
    assert figures.long_time(span) == text
