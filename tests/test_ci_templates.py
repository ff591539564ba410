"""What is ready to copy: the CI templates and the pre-commit hook do what they say, in a real repository."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from regressing import BROKEN, ROOM, environment, folder_of, installed
from ruamel.yaml import YAML
from test_cli_files import ROOT

from simroom import api

CI = ROOT / "docs" / "ci"
Steps = Callable[[str], list[str]]


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A folder with the command `simroom` in it, as it is installed."""
    return installed(tmp_path / "bin")


def github_steps(event: str) -> list[str]:
    """The commands of the GitHub workflow for an event, but for the installation."""
    workflow = YAML(typ="safe", pure=True).load((CI / "github.yml").read_text())
    steps = workflow["jobs"]["routing"]["steps"]
    conditions = {
        None: True,
        "github.event_name == 'pull_request'": event == "pull_request",
        "github.event_name != 'pull_request'": event != "pull_request",
    }
    return [one["run"] for one in steps if "run" in one and one["name"] != "Install" and conditions[one.get("if")]]


def gitlab_steps(_event: str) -> list[str]:
    """The commands of the GitLab job."""
    script: list[str] = YAML(typ="safe", pure=True).load((CI / "gitlab.yml").read_text())["routing"]["script"]
    return script


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with scenarios and baselines, all committed."""
    folder_of(tmp_path, a=ROOM, b=ROOM.replace("A room", "B room"))
    monkeypatch.chdir(tmp_path)
    api.update_baselines("scenarios")
    words = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for more in (["init", "-q", "-b", "main"], ["add", "scenarios", "reports"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*words, *more], cwd=tmp_path, check=True)
    return tmp_path


def run(steps: list[str], repository: Path, command: Path, event: str) -> int:
    """Run the steps one after the other as a CI does; returns the code of the first that fails, or 0."""
    base = {"BASE": "main", "CI_MERGE_REQUEST_DIFF_BASE_SHA": "main" if event == "pull_request" else ""}
    for step in steps:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", step], cwd=repository, env=environment(command, **base), check=False
        )
        if done.returncode:
            return done.returncode
    return 0


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps], ids=["github", "gitlab"])
@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_the_ci_templates_pass_what_is_as_it_was(repository: Path, command: Path, steps: Steps, event: str) -> None:
    assert run(steps(event)[1:], repository, command, event) == 0


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps], ids=["github", "gitlab"])
def test_the_ci_templates_leave_with_the_code_of_the_check(repository: Path, command: Path, steps: Steps) -> None:
    path = repository / "scenarios" / "a.yaml"
    path.write_text(ROOM.replace("preferred_lang: en}", "preferred_lang: ja}", 1))
    assert run(steps("pull_request"), repository, command, "pull_request") == 4


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps], ids=["github", "gitlab"])
def test_the_ci_templates_validate_first(repository: Path, command: Path, steps: Steps) -> None:
    (repository / "scenarios" / "a.yaml").write_text(BROKEN)
    # 123 is how xargs says that a command failed.
    assert run(steps("push")[:1], repository, command, "push") == 123


def test_the_pre_commit_hook_says_what_is_wrong(tmp_path: Path, command: Path) -> None:
    folder_of(tmp_path, a=ROOM, z=BROKEN)
    (hook,) = YAML(typ="safe", pure=True).load((ROOT / ".pre-commit-hooks.yaml").read_text())

    def hooked(*files: str) -> subprocess.CompletedProcess[str]:
        words = [*hook["entry"].split(), *files]
        return subprocess.run(
            words, cwd=tmp_path, env=environment(command), capture_output=True, text=True, check=False
        )

    assert hooked("scenarios/a.yaml").returncode == 0
    done = hooked("scenarios/a.yaml", "scenarios/z.yaml")
    assert done.returncode == 2
    assert "scenarios/z.yaml:4:11: duration" in done.stderr
