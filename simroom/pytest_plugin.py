"""pytest plugin: scenarios as tests, one for each, by a fixture, a marker, or collected from their files.

Three ways, which can be mixed::

    def test_routing(simroom):
        simroom.check("scenarios/rules/room-fan-out.yaml")


    @pytest.mark.simroom("scenarios/rules", tags=["routing"])
    def test_rule(simroom, scenario):
        simroom.check(scenario)

and ``pytest --simroom scenarios/``, which collects scenario files as they are. ``--simroom-scheduler`` and
``--simroom-baseline`` count for all of them.
"""

# ruff: noqa: PLC0415 - a test session that has no scenarios imports nothing of simroom but this
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from simroom.api import Comparison, Result, Tally
    from simroom.study.checked import Case, Checked

_MARKER: Final = (
    "simroom(*paths, select=(), tags=(), not_tags=()): run the test once for each scenario under the paths, which it "
    "gets as its argument `scenario`"
)
_OPTIONS: Final = ("select", "tags", "not_tags")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("simroom", "simulated scenarios")
    group.addoption("--simroom", action="store_true", help="collect scenario files (YAML that says `simroom:`)")
    group.addoption(
        "--simroom-scheduler", metavar="MODULE:FACTORY", default=None, help="the scheduler that scenarios are run with"
    )
    group.addoption(
        "--simroom-baseline",
        action="store_true",
        help="hold scenarios against their baselines, under --simroom-baselines",
    )
    group.addoption(
        "--simroom-baselines", metavar="DIR", default="reports/baselines", help="where baselines are (%(default)s)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means."""
    config.addinivalue_line("markers", _MARKER)


class Scenarios:
    """The fixture ``simroom``: runs scenarios and fails the test where they do not pass.

    Args:
        scheduler: ``package.module:factory``; None: simroom's.
        baselines: The folder of the baselines that scenarios are held against; None: they are not.
    """

    def __init__(self, scheduler: str | None, baselines: Path | None) -> None:
        self.scheduler = scheduler
        self.baselines = baselines

    def check(self, *paths: str | PathLike[str], **options: Any) -> Tally:
        """Check scenarios; the test fails where one does not pass, is invalid, or where there is none.

        Args:
            paths: Scenario files, and folders of them.
            options: As ``simroom.check`` has them; ``scheduler`` and ``baselines`` are those of the command line.

        Returns:
            What became of each.
        """
        __tracebackhide__ = True
        from simroom import api

        tally = api.check(*paths, **{"scheduler": self.scheduler, "baselines": self.baselines, **options})
        if tally.interrupted:
            raise KeyboardInterrupt
        if not tally.checked:
            pytest.fail(f"there is no scenario under {', '.join(map(str, paths))}", pytrace=False)
        if tally.word != "passed":
            pytest.fail("\n\n".join(_told(one) for one in tally.checked if one.word != "passed"), pytrace=False)
        return tally

    def run(self, scenario: str | PathLike[str] | None = None, **options: Any) -> Result:
        """Run a scenario and return what it comes to, whatever that is; arguments as ``simroom.run`` has them."""
        from simroom import api

        return api.run(scenario, **{"scheduler": self.scheduler, **options})

    def compare(
        self, before: str | PathLike[str], after: str | PathLike[str] | None = None, **options: Any
    ) -> Comparison:
        """Compare two ways; arguments as ``simroom.compare`` has them."""
        from simroom import api

        return api.compare(before, after, **options)


@pytest.fixture(scope="session")
def simroom(pytestconfig: pytest.Config) -> Scenarios:
    """Run and check scenarios: ``simroom.check(path)``, ``simroom.run(path)``, ``simroom.compare(path, path)``."""
    return _scenarios(pytestconfig)


def _scenarios(config: pytest.Config) -> Scenarios:
    baselines = Path(config.getoption("--simroom-baselines")) if config.getoption("--simroom-baseline") else None
    return Scenarios(config.getoption("--simroom-scheduler"), baselines)


# --- one test for each scenario ----------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that is marked once for each scenario."""
    marker = metafunc.definition.get_closest_marker("simroom")
    if marker is None or "scenario" not in metafunc.fixturenames:
        return
    unknown = [name for name in marker.kwargs if name not in _OPTIONS]
    if unknown:
        raise pytest.UsageError(f"pytest.mark.simroom has no {unknown[0]}; it has {', '.join(_OPTIONS)}")
    files = _files(metafunc.config.rootpath, marker.args, marker.kwargs)
    if not files:
        raise pytest.UsageError(f"there is no scenario under {', '.join(map(str, marker.args))}")
    names = [_name(file, metafunc.config.rootpath) for file in files]
    metafunc.parametrize("scenario", files, ids=names)


def _files(root: Path, paths: Iterable[str | PathLike[str]], options: Mapping[str, Any]) -> list[Path]:
    """Scenario files under paths, which count from the root of the tests."""
    from simroom.study import finding

    try:
        there = finding.find([root / path for path in paths])
    except finding.NotThereError as error:
        raise pytest.UsageError(str(error)) from error
    tags, not_tags = options.get("tags", ()), options.get("not_tags", ())
    named = [file for file in there.files if finding.is_named(file, options.get("select", ()))]
    if not tags and not not_tags:
        return named
    return [file for file in named if finding.is_tagged(finding.opened(file), tags, not_tags)]


def _name(file: Path, root: Path) -> str:
    from simroom.scenario.printable import printable

    return printable(file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix())


# --- scenario files that are collected ---------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario file, where ``--simroom`` asks for it."""
    if not parent.config.getoption("--simroom"):
        return None
    from simroom.study import finding

    if file_path.suffix not in finding.ENDINGS or not finding.is_scenario(file_path):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


class ScenarioFile(pytest.File):
    """A scenario file."""

    def collect(self) -> Iterable[ScenarioItem]:
        """Its one test."""
        yield ScenarioItem.from_parent(self, name="scenario")


class ScenarioError(Exception):
    """A scenario did not pass; the message says why."""


class ScenarioItem(pytest.Item):
    """A scenario as a test."""

    def runtest(self) -> None:
        """Run it."""
        from simroom import api

        asked = _scenarios(self.config)
        tally = api.check(_seen_from_here(self.path), scheduler=asked.scheduler, baselines=asked.baselines)
        if tally.interrupted:
            raise KeyboardInterrupt
        if tally.word != "passed":
            raise ScenarioError("\n\n".join(_told(one) for one in tally.checked))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Why it did not pass, without a traceback of ours."""
        if isinstance(excinfo.value, ScenarioError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands."""
        return self.path, 0, _name(self.path, self.config.rootpath)


def _seen_from_here(path: Path) -> Path:
    """A path as one would type it, which is also how its baseline is found."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


# --- what is told of a failure -----------------------------------------------------------------------------------


def _told(checked: Checked) -> str:
    """Why a scenario did not pass, and what to type next."""
    from simroom.scenario.printable import printable

    place = checked.path.as_posix() + (f":{checked.line}" if checked.line is not None else "")
    lines = [f"{place}: {checked.word.replace('_', ' ')}"]
    for case in checked.bad:
        lines += _case(case)
    return "\n".join(printable(line) for line in lines)


def _case(case: Case) -> Sequence[str]:
    import shlex

    lines = [f"  {case.name}: {case.what}" + (f" (line {case.line})" if case.line is not None else "")]
    lines += [f"    {detail}" for detail in case.details]
    return [*lines, f"    {shlex.join(case.following)}"] if case.following else lines
