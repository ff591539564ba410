"""The README: each of its commands works, each of its excerpts is real, and the Chinese one says the same.

The commands run in a copy of what a clone has beside the code, with `.venv/bin/simroom` standing for this very
interpreter and these very sources. Of the two set-up lines only what follows the installation is run here (of the
second, that pytest finds the tests); that the lines work as they stand on a fresh machine is for `.ci/run`, which takes
them from the README and runs them in a fresh clone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simroom.cli import exits
from simroom.scenario.load import loads
from simroom.sim.run import simulate
from simroom.study.record import file_names
from simroom.study.rows import COLUMNS

ROOT = Path(__file__).resolve().parents[1]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "scenarios" / "quickstart.yaml").read_text(encoding="utf-8")

SET_UP = (
    "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/simroom run",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest -n auto",
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TIMING = re.compile(r"in \d+\.\d s \([\d,]+\u00d7\)")
_CLONED = ("scenarios", "docs", "README.md", "README.zh-CN.md", "LICENSE")


def blocks(text: str, kind: str) -> list[str]:
    """The code blocks of one kind, in order."""
    return [content for found, content in _BLOCK.findall(text) if found == kind]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands can be typed as the README says."""
    folder = tmp_path_factory.mktemp("clone")
    for name in _CLONED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    shim = commands / "simroom"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from simroom.cli.main import main; main()"
    shim.write_text(
        # Guarded as the installed command is: what starts processes of its own looks at the file again in each.
        f"#!{sys.executable}\nimport sys\nif __name__ == '__main__':\n"
        f"    sys.argv[0] = 'simroom'\n    exec({code!r})\n",
        encoding="utf-8",
    )
    shim.chmod(0o755)
    return folder


def typed(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What comes of typing these lines there; the first that fails ends it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIMROOM_")}
    environment |= {"PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}", "COLUMNS": "80"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_first_two_commands_are_the_whole_set_up() -> None:
    assert [block.strip() for block in blocks(ENGLISH, "sh")[:2]] == list(SET_UP)


def test_the_first_command_ends_in_a_run_that_passes(clone: Path) -> None:
    done = typed(SET_UP[0].split(" && ")[2], clone)
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout
    assert sorted(path.name for path in (clone / "reports" / "quickstart-1").iterdir()) == sorted(file_names("csv"))


def test_the_second_command_ends_in_pytest_which_finds_these_tests() -> None:
    assert SET_UP[1].split(" && ")[2] == ".venv/bin/pytest -n auto"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", str(Path(__file__))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "test_the_first_two_commands_are_the_whole_set_up" in done.stdout


@pytest.mark.parametrize("commands", blocks(ENGLISH, "sh")[2:])
def test_commands_do_what_they_should(commands: str, clone: Path) -> None:
    done = typed(commands, clone)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_the_output_that_is_shown_is_what_comes(clone: Path) -> None:
    shown = blocks(ENGLISH, "text")
    assert len(shown) == 1
    (commands,) = [
        block for block in blocks(ENGLISH, "sh") if "simroom run --scheduler own_scheduler:forgetful" in block
    ]
    said = _TIMING.sub("", typed(commands, clone).stdout)
    assert "FAILED" in said
    for line in shown[0].splitlines():
        assert line.rstrip() in said.splitlines(), f"{line!r} is not in\n{said}"


def test_a_scheduler_with_another_policy_is_told_where_it_first_differs(clone: Path) -> None:
    (commands,) = [block for block in blocks(ENGLISH, "sh") if "own_scheduler:packed" in block]
    said = typed(commands, clone).stdout
    assert "exit code 1" in said
    summary = (clone / "reports" / "quickstart-1" / "summary.json").read_text(encoding="utf-8")
    assert '"invariant": "I5"' in summary


def test_simrooms_own_scheduler_named_as_if_it_were_a_users_changes_nothing(clone: Path) -> None:
    named = "--scheduler simroom.scheduler.scheduler:Scheduler"
    done = typed(f"simroom run --quiet --out own {named} && simroom run --quiet --out usual", clone)
    assert done.returncode == 0, done.stderr
    files = (clone / out / "quickstart-1" / "summary.json" for out in ("own", "usual"))
    own, usual = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    assert own.pop("scheduler") == named.removeprefix("--scheduler ")
    assert usual.pop("scheduler") is None
    assert own == usual


FAULTS = blocks(ENGLISH, "yaml")[-1]


@pytest.mark.parametrize("excerpt", blocks(ENGLISH, "yaml")[:-1])
def test_each_piece_of_the_first_scenario_is_in_the_quickstart(excerpt: str) -> None:
    assert excerpt in QUICKSTART


def test_the_faults_and_the_script_that_are_shown_happen_in_the_quickstart() -> None:
    scenario = loads(f"{QUICKSTART}\n{FAULTS}", "readme.yaml", ROOT / "scenarios")
    run = simulate(scenario)
    assert run.verdict.violations == ()
    assert all(use.fired_count for use in run.faults)


def test_every_file_and_column_of_a_run_folder_is_named() -> None:
    section = ENGLISH.split("## The run folder")[1].split("\n## ")[0]
    for name in (*file_names("csv"), *COLUMNS):
        assert f"`{name}`" in section


def test_every_exit_code_is_told() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    section = ENGLISH.split("## Exit codes")[1].split("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == codes


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["README.md", "README.zh-CN.md"])
def test_every_link_leads_somewhere(text: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert targets
    missing = [target for target in targets if "://" not in target and not (ROOT / target).exists()]
    assert not missing


# --- the Chinese one ---


def test_the_chinese_readme_has_the_same_code_blocks() -> None:
    assert _BLOCK.findall(CHINESE) == _BLOCK.findall(ENGLISH)


def test_the_chinese_readme_has_the_same_shape() -> None:
    def shape(text: str) -> list[str]:
        """Headings, tables' rows and lists' items, by kind alone."""
        without_code = _BLOCK.sub("", text)
        return [match[0].strip() for match in re.finditer(r"^(#+ |\| |- |!\[)", without_code, re.MULTILINE)]

    assert shape(CHINESE) == shape(ENGLISH)


def test_the_chinese_readme_names_the_same_things() -> None:
    """Code in running text (files, keys, columns, options) is the same set in both."""

    def named(text: str) -> set[str]:
        return set(re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text)))

    assert named(CHINESE) == named(ENGLISH)


def test_the_chinese_readme_is_in_chinese() -> None:
    prose = _BLOCK.sub("", CHINESE)
    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > 1_500
