"""The file of a baseline: what a scenario came to once, small enough for a person to review in a diff.

It holds the hash of the effective scenario, which it is of and of no other; of each replication its verdict, a hash of
what reached whom and one of what ran where; figures, seed by seed; and the first jobs in words. Each thing that can
change by itself has a line.
"""

from __future__ import annotations

import json
import re
import unicodedata
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from simroom.scenario.printable import printable
from simroom.study.effort import Efforts
from simroom.study.measures import Unit
from simroom.study.whole_files import write_whole

VERSION: Final = 1
"""Of the format of the file."""
KIND: Final = "baseline"
FOLDER: Final = Path("reports/baselines")
"""Where baselines are kept unless another place is given."""
LARGEST: Final = 4 * 1024 * 1024
_WIDTH: Final = 240


RenewedWord = Literal["new", "changed", "same", "kept", "none"]


class BaselineError(Exception):
    """A baseline cannot be used; the message says why, and how to renew it."""


class Scene(Struct, frozen=True, forbid_unknown_fields=True):
    """The scenario that a baseline is of.

    Attributes:
        file: Its path, as it was found.
        name: Its title.
        hash: Of the effective scenario.
        sections: A short hash of each section, so that it can be said which one is another now.
    """

    file: str
    name: str
    hash: str
    sections: dict[str, str]


class Once(Struct, frozen=True, forbid_unknown_fields=True):
    """One replication.

    Attributes:
        seed: Where its chance came from.
        verdict: What it came to by itself.
        routing: Hash of what reached whom.
        decisions: Hash of what ran where.
    """

    seed: int
    verdict: str
    routing: str
    decisions: str


class Measured(Struct, frozen=True, forbid_unknown_fields=True):
    """A figure, in base units.

    Attributes:
        unit: Of its values.
        mean: Over the replications; None: it has no value in any.
        low: Low end of its interval at 95 %; None: there is none; likewise ``high``.
        values: For each replication, in their order.
    """

    unit: Unit
    mean: float | None
    low: float | None
    high: float | None
    values: tuple[float | None, ...]


class Baseline(Struct, frozen=True, forbid_unknown_fields=True):
    """What a scenario came to once.

    Attributes:
        schema_version: Of the format.
        simroom: Version that made it.
        kind: ``baseline``.
        scenario: Which scenario.
        scheduler: ``package.module:factory``; None: simroom's.
        verdict: What it came to.
        stability: Whether it kept up.
        counts: Of the first replication.
        replications: In order.
        measures: By name of the figure.
        efforts: What the scheduler cost in the first replication; None: the scenario is too large to measure.
        routes: The first jobs of the first replication, in words: which job, where it ran, whom its result reached.
        more_routes: How many more jobs there were.
    """

    schema_version: int
    simroom: str
    kind: Literal["baseline"]
    scenario: Scene
    scheduler: str | None
    verdict: str
    stability: str
    counts: dict[str, int]
    replications: tuple[Once, ...]
    measures: dict[str, Measured]
    efforts: Efforts | None
    routes: tuple[tuple[str, str, str], ...]
    more_routes: int

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its replications."""
        return tuple(one.seed for one in self.replications)


class Renewed(Struct, frozen=True):
    """What became of a scenario's baseline.

    Attributes:
        scenario: The scenario's file.
        path: The baseline's.
        word: ``new``, ``changed``, ``same`` (it says what it said), ``kept`` (the scenario did not pass, so it is as it
            was), or ``none`` (likewise, and there was none).
    """

    scenario: Path
    path: Path
    word: RenewedWord


# --- the file ----------------------------------------------------------------------------------------------------


def place_of(scenario: Path, folder: Path) -> Path:
    """The file of a scenario's baseline: under ``folder`` as the scenario is under the current one.

    Whatever the path is, it stays in the folder, and every part of it is letters, digits, ``.``, ``-`` and ``_``.
    """
    path = scenario
    if scenario.is_absolute() and scenario.is_relative_to(Path.cwd()):
        path = scenario.relative_to(Path.cwd())
    parts = [part for part in path.with_suffix("").parts if part not in (path.anchor, ".")]
    return folder.joinpath(*(_safe(part) for part in parts)).with_name(f"{_safe(parts[-1])}.json")


def _safe(part: str) -> str:
    """A part of a path that is safe everywhere, and no other's."""
    folded = unicodedata.normalize("NFKD", part).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", folded).strip("-.")[:80]
    if slug == part:
        return slug
    mark = blake2b(part.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
    return f"{slug}-{mark}" if slug else mark


def read(path: Path, renew: str) -> Baseline | None:
    """Read a baseline.

    Args:
        path: Its file.
        renew: The command that makes it anew, for the complaint.

    Returns:
        It; None where there is no such file.

    Raises:
        BaselineError: It cannot be read, or is of a format that is not known.
    """
    shown = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{shown} cannot be read: {error.strerror or error}") from error
    try:
        head = msgspec.json.decode(content[:LARGEST], type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BaselineError(f"{shown} is no baseline of simroom; {renew} makes one") from error
    if head.kind != KIND:
        raise BaselineError(f"{shown} is no baseline of simroom; {renew} makes one")
    if head.schema_version != VERSION:
        age = "an older" if head.schema_version < VERSION else "a newer"
        raise BaselineError(
            f"{shown} is of {age} format ({head.schema_version}, this simroom has {VERSION}); {renew} makes it anew"
        )
    try:
        found = msgspec.json.decode(content, type=Baseline)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BaselineError(f"{shown} is damaged: {printable(str(error))}; {renew} makes it anew") from error
    count = len(found.replications)
    if not count or any(len(one.values) != count for one in found.measures.values()):
        raise BaselineError(f"{shown} is damaged: not every figure has a value for each replication; {renew}")
    return found


class _Head(Struct, frozen=True):
    schema_version: int
    kind: str


def write(path: Path, baseline: Baseline) -> bool:
    """Write a baseline, whole or not at all.

    Returns:
        Whether the file is another now than it was.

    Raises:
        OSError: It cannot be written.
    """
    content = text_of(baseline).encode()
    try:
        if path.read_bytes() == content:
            return False
    except OSError:
        pass
    write_whole(path, content)
    return True


def text_of(baseline: Baseline) -> str:
    """The content of the file: JSON, a line for each thing that can change by itself."""
    return _told(msgspec.to_builtins(baseline), "") + "\n"


def _told(value: Any, indent: str) -> str:
    """JSON with short lists and mappings on one line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        flat = "{" + ", ".join(f"{_scalar(key)}: {_told(item, '')}" for key, item in value.items()) + "}"
        if _fits(value.values(), flat, indent):
            return flat
        lines = ",\n".join(f"{inner}{_scalar(key)}: {_told(item, inner)}" for key, item in value.items())
        return "{\n" + lines + "\n" + indent + "}"
    if isinstance(value, (list, tuple)) and value:
        flat = "[" + ", ".join(_told(item, "") for item in value) + "]"
        if _fits(value, flat, indent):
            return flat
        return "[\n" + ",\n".join(inner + _told(item, inner) for item in value) + "\n" + indent + "]"
    return _scalar(value)


def _fits(items: Any, flat: str, indent: str) -> bool:
    """Whether it may stand on one line: what holds more than a list of numbers may not."""
    if len(flat) + len(indent) > _WIDTH:
        return False
    inner = [item for item in items if isinstance(item, (dict, list, tuple))]
    return all(isinstance(item, (list, tuple)) and not any(map(_is_no_number, item)) for item in inner)


def _is_no_number(item: Any) -> bool:
    return isinstance(item, (dict, list, tuple, str))


def _scalar(value: Any) -> str:
    """A value as JSON; what could steer a terminal is escaped, what one can read is not; whole numbers are whole."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    plain = not isinstance(value, str) or printable(value) == value
    return json.dumps(value, ensure_ascii=not plain, allow_nan=False)
