"""JUnit XML: what its readers expect, whatever the names in a scenario are."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from regressing import HOSTILE

from simroom import __version__
from simroom.report.junit import junit
from simroom.study.checked import Case, Checked, word_of

RUN = Case("run completed", "passed", kind="run")


def checked(*cases: Case, path: str = "scenarios/a.yaml", name: str = "A", **more: object) -> Checked:
    """A scenario that was checked and came to these cases."""
    return Checked(
        path=Path(path),
        name=name,
        tags=("quick",),
        digest="0" * 64,
        seeds=(1, 2),
        word=more.pop("word", word_of(cases)),  # type: ignore[arg-type]
        cases=cases,
        wall_seconds=1.25,
        **more,  # type: ignore[arg-type]
    )


def test_there_is_a_suite_for_each_scenario_and_a_case_for_each_thing_that_was_judged() -> None:
    failed = Case("delivery_latency.p95 < 2s", "failed", "is 3 s", 12, following=("simroom", "run", "a b.yaml"))
    root = ElementTree.fromstring(junit([checked(RUN, failed), checked(RUN, path="b.yaml")]))
    assert (root.tag, root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == (
        "testsuites",
        "3",
        "1",
        "0",
    )
    first, second = root.findall("testsuite")
    assert (first.attrib["name"], first.attrib["tests"], first.attrib["failures"]) == ("scenarios/a.yaml", "2", "1")
    assert [case.attrib["name"] for case in first.findall("testcase")] == ["run completed", "delivery_latency.p95 < 2s"]
    assert second.attrib["failures"] == "0"
    case = first.findall("testcase")[1]
    failure = case.find("failure")
    assert failure is not None
    assert (case.attrib["line"], case.attrib["file"]) == ("12", "scenarios/a.yaml")
    assert failure.attrib["message"] == "is 3 s"
    assert failure.text == "delivery_latency.p95 < 2s: is 3 s\nscenarios/a.yaml:12\nsimroom run 'a b.yaml'"


def test_properties_say_which_run_it_was() -> None:
    root = ElementTree.fromstring(junit([checked(RUN)]))
    found = [(one.attrib["name"], one.attrib["value"]) for one in root.iter("property")]
    assert found == [
        ("simroom", __version__),
        ("verdict", "passed"),
        ("scenario", "A"),
        ("hash", "0" * 64),
        ("seed", "1"),
        ("seed", "2"),
        ("tag", "quick"),
    ]


def test_what_is_inconclusive_has_not_passed() -> None:
    case = Case("baseline", "inconclusive", "there is none", kind="baseline")
    root = ElementTree.fromstring(junit([checked(RUN, case)]))
    assert (root.attrib["errors"], root.attrib["failures"]) == ("1", "0")
    error = root.find(".//error")
    assert error is not None
    assert (error.attrib["type"], error.attrib["message"]) == ("inconclusive", "there is none")


def test_what_was_not_run_is_skipped() -> None:
    root = ElementTree.fromstring(junit([checked(word="not_run")]))
    assert (root.attrib["tests"], root.attrib["skipped"], root.attrib["errors"]) == ("1", "1", "0")
    assert root.find(".//skipped") is not None


def test_names_are_the_same_whatever_was_measured() -> None:
    def names(value: str) -> list[str]:
        root = ElementTree.fromstring(junit([checked(RUN, Case("jobs == 2", "failed", f"is {value}", 3))]))
        return [case.attrib["name"] for case in root.iter("testcase")]

    assert names("3") == names("4")


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_name_gives_well_formed_xml(name: str, what: str) -> None:
    case = Case(f"x{name}", "failed", what, 1, details=(what, name), following=("simroom", name))
    text = junit([checked(RUN, case, path=f"x{name}".replace("\0", "0"), name=name)])
    root = ElementTree.fromstring(text)
    assert len(root.findall(".//testcase")) == 2
    assert not any(character in text.decode() for character in "\x1b\u202e\u2028\ufffe")


def test_a_name_that_means_harm_makes_no_element_and_steers_nothing() -> None:
    text = junit([checked(RUN, name=HOSTILE, path=HOSTILE)])
    assert "<img" not in text.decode()
    assert "\x1b" not in text.decode()
    assert len(list(ElementTree.fromstring(text).iter())) == len(
        list(ElementTree.fromstring(junit([checked(RUN)])).iter())
    )


def test_a_very_long_message_is_cut() -> None:
    text = junit([checked(RUN, Case("x", "failed", "y" * 1_000_000, 1))])
    assert len(text) < 30_000


def test_junitparser_reads_it() -> None:
    junitparser = pytest.importorskip("junitparser")
    failed = Case("jobs == 2", "failed", "is 3", 12)
    found = junitparser.JUnitXml.fromstring(junit([checked(RUN, failed, name=HOSTILE)]).decode())
    (suite,) = found
    assert (suite.tests, suite.failures, suite.errors, suite.time) == (2, 1, 0, 1.25)
    assert {one.name: one.value for one in suite.properties()}["simroom"] == __version__
    results = {case.name: [type(one).__name__ for one in case.result] for case in suite}
    assert results == {"run completed": [], "jobs == 2": ["Failure"]}
