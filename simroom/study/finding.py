"""Which scenarios are meant: found under paths, opened, and chosen by name, by tag, or by what has changed since."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from msgspec import Struct

import simroom
from simroom.scenario.effective import effective_data, with_paths
from simroom.scenario.load import load, loads
from simroom.scenario.problems import Problem, ScenarioError
from simroom.scenario.schema import Scenario
from simroom.study.expect import Expectation, read_all
from simroom.study.folder import SUMMARY_FILE

ENDINGS: Final = (".yaml", ".yml")
GIT_SECONDS: Final = 60.0
"""So long git may take to say what has changed."""

_HEAD: Final = 1 << 20
_VERSIONED: Final = re.compile(rb"^\xef?\xbb?\xbf?[\"']?simroom[\"']?\s*:", re.MULTILINE)
"""A line that begins the way the version of the format does: nothing else that is YAML has it."""


class NotThereError(Exception):
    """A path leads nowhere, or cannot be read; the message says which."""


class RevisionError(Exception):
    """Git cannot say what has changed; the message says why."""


class Finding(Struct, frozen=True):
    """What lies under some paths.

    Attributes:
        files: Scenario files, each once, in the order of the paths and, within a folder, of the alphabet.
        left_out: Other YAML files in the folders, likewise.
    """

    files: tuple[Path, ...]
    left_out: tuple[Path, ...]


class Opened(Struct, frozen=True):
    """A scenario without problems, ready to be run.

    Attributes:
        path: As it was found.
        scenario: The scenario.
        expectations: What it expects, read.
    """

    path: Path
    scenario: Scenario
    expectations: tuple[Expectation, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """The words to select it by."""
        return self.scenario.tags


class Broken(Struct, frozen=True):
    """A file that is no scenario, or one with problems.

    Attributes:
        path: As it was found.
        problems: What is wrong with it, at least one.
    """

    path: Path
    problems: tuple[Problem, ...]


# --- finding -----------------------------------------------------------------------------------------------------


def find(paths: Sequence[Path]) -> Finding:
    """Find scenario files.

    Args:
        paths: Files, which are taken whatever is in them, and folders, in which those are taken that say ``simroom:``,
            however deep. Hidden folders and run folders are passed over, links to folders not followed.

    Raises:
        NotThereError: A path leads nowhere, or a folder cannot be listed.
    """
    files: dict[Path, Path] = {}
    left_out: dict[Path, Path] = {}
    for path in paths:
        for file in _under(path):
            if path == file or is_scenario(file):
                files.setdefault(file.resolve(), file)
            else:
                left_out.setdefault(file.resolve(), file)
    others = (file for resolved, file in left_out.items() if resolved not in files)
    return Finding(tuple(files.values()), tuple(others))


def _under(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if not path.exists():
            raise NotThereError(f"{path}: no such file or folder")
        yield path
        return

    def refuse(error: OSError) -> None:
        raise NotThereError(f"{error.filename or path}: {error.strerror or error}") from error

    for folder, inner, names in os.walk(path, onerror=refuse):
        if SUMMARY_FILE in names:
            inner.clear()
            continue
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(ENDINGS) and not name.startswith("."):
                yield Path(folder) / name


def is_scenario(path: Path) -> bool:
    """Whether a file says that it is one. One that cannot be read is taken for one, so that it is told of."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return _VERSIONED.search(file.read(_HEAD)) is not None
    except OSError:
        return True


def opened(
    path: Path, overrides: Sequence[str] = (), *, text: str | None = None, base: Path = Path()
) -> Opened | Broken:
    """Open a scenario: it, or everything that is wrong with it and with what it expects.

    Args:
        path: The file, or what to call it.
        overrides: ``key.path=value`` each.
        text: What the file would hold; None: it is read.
        base: The folder that paths in ``text`` are relative to.
    """
    try:
        scenario = (
            load(path, overrides=overrides) if text is None else loads(text, str(path), base, overrides=overrides)
        )
    except ScenarioError as error:
        return Broken(path, error.problems)
    expectations, unfit = read_all(scenario.expect)
    if not unfit:
        return Opened(path, scenario, expectations)
    problems = tuple(
        Problem(
            file=str(path) if one.line is not None else f"--set expect={one.text}",
            line=one.line or 1,
            column=one.column or 1,
            path="expect",
            found=one.error.found,
            expected=one.error.expected,
            hint=one.error.hint,
        )
        for one in unfit
    )
    return Broken(path, problems)


# --- choosing ----------------------------------------------------------------------------------------------------


def is_named(path: Path, patterns: Sequence[str]) -> bool:
    """Whether a file's path is like one of the patterns.

    A pattern with ``*``, ``?`` or ``[`` must match the whole path or the whole name of the file, with or without its
    ending; one without must occur in the path. None at all: every file is meant.
    """
    if not patterns:
        return True
    whole = path.as_posix()
    names = (whole, path.name, path.stem)
    return any(
        any(fnmatchcase(name, pattern) for name in names) if re.search(r"[*?\[]", pattern) else pattern in whole
        for pattern in patterns
    )


def is_tagged(one: Opened | Broken, tags: Sequence[str], not_tags: Sequence[str] = ()) -> bool:
    """Whether a scenario has one of the tags, if any are given, and none of ``not_tags``.

    What cannot be read has tags that nobody knows: it is meant, so that it is told of.
    """
    if isinstance(one, Broken):
        return True
    return (not tags or any(tag in one.tags for tag in tags)) and not any(tag in one.tags for tag in not_tags)


class Changes(Struct, frozen=True):
    """What has changed since a revision.

    Attributes:
        files: Every file that differs, or is new and not ignored, as absolute paths.
        code: The first changed file of the code under test, in order of the alphabet; None: none has changed, or the
            code is not in the same repository.
    """

    files: frozenset[Path]
    code: Path | None

    def touch(self, one: Opened | Broken) -> bool:
        """Whether a scenario can have another outcome now: the code has changed, the file, or one it refers to."""
        if self.code is not None or one.path.resolve() in self.files:
            return True
        if isinstance(one, Broken):
            return False
        return any(one.scenario.path(reference).resolve() in self.files for reference in references(one.scenario))


def references(scenario: Scenario) -> tuple[str, ...]:
    """The data files that a scenario refers to, as it writes them, in order."""
    found: dict[str, None] = {}

    def note(path: str) -> str:
        found[path] = None
        return path

    with_paths(effective_data(scenario), note)
    return tuple(found)


def changed_since(revision: str, folder: Path, scheduler: str | None = None) -> Changes:
    """Ask git what has changed since a branch left a revision, in the working tree as it is now.

    Args:
        revision: What git takes for one, for example ``origin/main``.
        folder: Somewhere in the repository.
        scheduler: ``package.module:factory``; its package is code under test too, as simroom itself is.

    Raises:
        RevisionError: There is no git, no repository or no such revision.
    """
    top = Path(_git(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    # A shallow clone does not know where the branch began: then it is the revision itself.
    with suppress(RevisionError):
        commit = _git(folder, "merge-base", commit, "HEAD").strip()
    names = _git(top, "diff", "--name-only", "--no-renames", "-z", commit, "--")
    names += _git(top, "ls-files", "--others", "--exclude-standard", "-z")
    files = frozenset((top / name).resolve() for name in names.split("\0") if name)
    return Changes(files, _changed_code(files, scheduler))


def _changed_code(files: Iterable[Path], scheduler: str | None) -> Path | None:
    places = [Path(simroom.__file__).resolve().parent]
    if scheduler is not None:
        places += _places_of(scheduler.partition(":")[0].partition(".")[0])
    changed = (file for file in files if file.suffix == ".py")
    return min((file for file in changed if any(file.is_relative_to(place) for place in places)), default=None)


def _places_of(package: str) -> list[Path]:
    """Where a package or module is; empty where it is nowhere to be found."""
    here = Path(package)
    found = [path.resolve() for path in (here, here.with_suffix(".py")) if path.exists()] if package else []
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        spec = None
    if spec is not None:
        found += [Path(place).resolve() for place in spec.submodule_search_locations or ()]
        found += [Path(spec.origin).resolve()] if spec.origin is not None and not spec.parent else []
    return found


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
    try:
        done = subprocess.run(  # noqa: S603 - arguments, no shell; a revision cannot be taken for an option
            command, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise RevisionError("git is not installed") from error
    except (subprocess.SubprocessError, OSError) as error:
        raise RevisionError(f"git cannot be asked: {error}") from error
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise RevisionError(told[-1] if told else "there is no such revision")
    return os.fsdecode(done.stdout)
