"""Writes the parts of the documentation that follow from the code, so that neither says what the other does not.

    python docs/generate.py            write them
    python docs/generate.py --check    say which are out of date, and exit with 1 if any is

A part stands in its file between ``<!-- generated: NAME -->`` and ``<!-- end -->``; the schema and the picture are
files of their own. The picture shows a real run of the quickstart, so its timing is of the machine that made it: that
alone is not compared.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable
from html import unescape
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

from pydantic import BaseModel
from rich.console import Console, Group
from rich.terminal_theme import TerminalTheme

from simroom.cli.exits import BY_WORD
from simroom.oracle.verdict import INVARIANTS
from simroom.report.terminal import Next, Written, report
from simroom.scenario.distributions import (
    Exponential,
    Gamma,
    Hyperexponential,
    Lognormal,
    Uniform,
)
from simroom.scenario.emit import dump
from simroom.scenario.fields import OneOf
from simroom.scenario.jsonschema import json_schema
from simroom.scenario.load import load
from simroom.scenario.nodes import (
    BatchingGpu,
    BatchService,
    ColdStart,
    Heartbeat,
    NodeGroup,
    SerialGpu,
    SharedGpu,
    Stage,
    StagedService,
    WaveLoad,
)
from simroom.scenario.people import Change, Drop, FeatureFlags, Leave, Member, MemberEvent, SessionGroup
from simroom.scenario.profiles import PROFILES
from simroom.scenario.rooms import Room
from simroom.scenario.schema import Link, Network, Playback, Scenario
from simroom.scenario.section import SchedulerSection
from simroom.scenario.speech import Arrivals, Line, Meeting, Script, Trace, TurnTaking
from simroom.scheduler.nodes import TRANSITIONS, NodeStatus
from simroom.sim.run import RunData, simulate
from simroom.study.conclusion import conclude
from simroom.study.expect import read_all
from simroom.study.measures import MEASURES, TAG_MEANINGS
from simroom.study.record import file_names
from simroom.study.rows import COLUMNS
from simroom.study.summary import Source, Timing
from simroom.study.table import Table

DOCS: Final = Path(__file__).resolve().parent
ROOT: Final = DOCS.parent
PICTURE: Final = DOCS / "quickstart.svg"
QUICKSTART: Final = ROOT / "scenarios" / "quickstart.yaml"
WIDTH: Final = 80
_BLOCK: Final = re.compile(r"(<!-- generated: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TIMING: Final = re.compile(r"in\s+\d+\.\d\s+s\s+\([\d,]+\u00d7\)")


# --- tables ---


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heading = list(heading)
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def prose(text: str | None) -> str:
    """A docstring's text on one line, in Markdown."""
    return " ".join((text or "").replace("``", "`").split())


def keys_of(model: type[BaseModel]) -> str:
    """The keys of a scenario's section: what each takes, its default, and what it is."""
    # What a short form stands for has nothing but that, and no default.
    short = issubclass(model, OneOf) and model.bare is not None
    defaults = {} if short else model.model_construct().model_dump(mode="json", by_alias=True)
    if issubclass(model, OneOf) and not short:
        inner = next(iter(defaults.values())) if isinstance(defaults, dict) and len(defaults) == 1 else defaults
        defaults = inner if isinstance(inner, dict) else {}
    schema = json_schema()
    properties = _properties(schema, schema if model is Scenario else schema["$defs"][model.__name__])
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if name == "kind" or key not in properties:
            continue
        text = prose(field.description)
        default = "needed" if field.is_required() else _default(defaults.get(key, field.default))
        if "Default:" in text:
            default = ""
        rows.append([f"`{key}`", _kind(properties[key]), default, text])
    return table(["key", "value", "default", ""], rows)


def _properties(schema: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    """The keys of a mapping, wherever its schema puts them: inside its one key, or beside a short form."""
    found: dict[str, Any] = dict(definition.get("properties", {}))
    for branch in (*definition.get("anyOf", ()), *(definition.get("properties", {}).values())):
        if isinstance(branch, dict) and ("anyOf" in branch or branch.get("type") == "object"):
            for key, value in _properties(schema, branch).items():
                found.setdefault(key, value)
    return found


def _default(value: object) -> str:
    if value is None or value in ({}, [], ()):
        return "none"
    if isinstance(value, dict) and len(json.dumps(value)) > 40:
        return "see there"
    text = dump({"x": value}).strip().removeprefix("x:").strip()
    return f"`{text}`"


def _kind(schema: dict[str, Any]) -> str:
    """What may be written there, in a few words."""
    if "$ref" in schema:
        return _LINKS.get(schema["$ref"].rsplit("/", 1)[1], "mapping")
    if "enum" in schema:
        return ", ".join(f"`{'null' if value is None else value}`" for value in schema["enum"] if value is not None)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        kinds = [_kind(branch) for branch in schema["anyOf"] if branch.get("type") != "null"]
        shown = [kind for kind in dict.fromkeys(kinds) if kind != "`0`"]
        return "share" if "share" in shown else " or ".join(shown)
    kind = schema.get("type")
    if kind == "string":
        pattern = schema.get("pattern", "")
        for mark, word in (
            ("-?", "shift"),
            ("B/s", "speed"),
            ("(us", "duration"),
            ("%", "share"),
            ("/", "rate"),
            (">", "pair"),
            ("[A-Za-z]{2,3}", "language"),
        ):
            if mark in pattern:
                return word
        return "text"
    if kind == "array":
        return f"list: {_kind(schema['items'])}"
    return {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}.get(str(kind), "mapping")


_LINKS: Final = {
    "Distribution": "[span](#spans-that-vary)",
    "Room": "[room](#rooms)",
    "SessionGroup": "[sessions](#sessions-outside-rooms)",
    "NodeGroup": "[nodes](#nodes)",
    "Network": "[network](#network-and-playback)",
    "Link": "[link](#network-and-playback)",
    "Playback": "[playback](#network-and-playback)",
    "SchedulerSection": "[scheduler](#scheduler)",
    "Member": "[member](#members)",
    "Speaker": "[member](#members)",
    "MemberEvent": "[event](#what-happens-to-people)",
    "SessionEvent": "[event](#what-happens-to-people)",
    "FeatureFlags": "[features](#features)",
    "TurnTaking": "[turn_taking](#turn-taking)",
    "Meeting": "[meeting](#a-real-meeting)",
    "Script": "[script](#a-script)",
    "Line": "[line](#a-script)",
    "Fault": "[fault](#faults)",
    "ScriptLine": "[line](#what-happens-line-by-line)",
    "Arrivals": "[arrivals](#arrivals)",
    "Silent": "`none`",
    "Poisson": "`{poisson: rate}`",
    "GammaArrivals": "`{gamma: ...}`",
    "Regular": "`{constant: duration}`",
    "Trace": "`{trace: ...}`",
    "SerialGpu": "`{model: serial}`",
    "SharedGpu": "`{model: shared}`",
    "BatchingGpu": "`{model: batching}`",
    "StagedService": "[stages](#service)",
    "WholeService": "[span](#spans-that-vary)",
    "BatchService": "[batching](#service)",
    "Stage": "[stage](#service)",
    "SteadyLoad": "share",
    "WaveLoad": "`{wave: ...}`",
    "StepsLoad": "`{steps: ...}`",
    "TraceLoad": "`{trace: ...}`",
    "Step": "step",
}


def node_states() -> str:
    """The state diagram of a node, from the scheduler's own table of transitions."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (status, event), following in TRANSITIONS.items():
        arrows.setdefault((status.value, following.value), []).append(event.value)
    lines = [f"    [*] --> {NodeStatus.REGISTERING.value}: first registered"]
    lines += [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    return "```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n"


def measures() -> str:
    """Every measure, in the order of the registry."""
    units = {"time": "time", "share": "share", "count": "count", "ratio": "number", "rate": "per second"}
    return table(
        ["measure", "unit", "statistics", "selected by", "what it is"],
        (
            [
                f"`{measure.name}`",
                units[measure.unit],
                " ".join(f"`.{stat}`" for stat in measure.stats),
                ", ".join(measure.tags),
                prose(measure.formula),
            ]
            for measure in MEASURES.values()
        ),
    )


def profiles() -> str:
    """Every built-in kind of node: what it is, where it is from, and the keys it stands for."""
    parts = []
    for name, profile in PROFILES.items():
        parts.append(f"### `{name}`\n\n{prose(profile.description)}\n\n```yaml\n{dump(profile.node)}```\n")
    return "\n".join(parts)


# --- what a run says ---


def told(ran: RunData, scenario: Scenario, spent: Timing, *, again: str) -> Group:
    """The report of a run of the quickstart, as the command prints it."""
    run_table = Table(ran)
    parts = report(
        run_table,
        conclude(run_table, read_all(scenario.expect)[0]),
        Source(name=scenario.name, file=QUICKSTART.name, hash=scenario.digest),
        spent,
        written=Written(Path("reports") / f"quickstart-{ran.seed}", file_names("csv")),
        following=Next(again=again, inspect="simroom inspect scenarios/quickstart.yaml"),
    )
    return Group(*parts)


def beside(name: str) -> Any:
    """A module that stands in this folder."""
    found = spec_from_file_location(name.rpartition("/")[2], DOCS / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def forgetful() -> str:
    """What the README shows of a run with the faulty scheduler in ``examples/``: the verdict and the first breach."""
    example = beside("examples/own_scheduler")
    scenario = load(QUICKSTART)
    ran = simulate(scenario, scheduler=example.forgetful)
    file = io.StringIO()
    Console(file=file, width=WIDTH, color_system=None, highlight=False).print(
        told(ran, scenario, Timing(wall_seconds=1, cpu_seconds=1, simulated_time=0, events=0), again="")
    )
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    verdict = next(line for line in lines if "FAILED" in line)
    first = next(number for number, line in enumerate(lines) if line.startswith("   I1"))
    return "```text\n" + "\n".join([verdict, *lines[first : first + 2], "exit code 1"]) + "\n```\n"


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "node-states": node_states,
    "measures": measures,
    "tags": lambda: table(
        ["selector", "what it selects by"], ([f"`{tag}`", text] for tag, text in TAG_MEANINGS.items())
    ),
    "columns": lambda: table(["column", ""], ([f"`{name}`", prose(text)] for name, text in COLUMNS.items())),
    "invariants": lambda: table(["invariant", "what it is about"], ([key, name] for key, name in INVARIANTS.items())),
    "verdicts": lambda: table(["verdict", "exit code"], ([word, str(code)] for word, code in BY_WORD.items())),
    "profiles": profiles,
    "forgetful": forgetful,
    **{
        f"keys-{name}": (lambda model=model: keys_of(model))  # type: ignore[misc]
        for name, model in {
            "scenario": Scenario,
            "room": Room,
            "member": Member,
            "features": FeatureFlags,
            "event": MemberEvent,
            "change": Change,
            "drop": Drop,
            "leave": Leave,
            "turn-taking": TurnTaking,
            "meeting": Meeting,
            "script": Script,
            "line": Line,
            "arrivals": Arrivals,
            "trace": Trace,
            "sessions": SessionGroup,
            "nodes": NodeGroup,
            "gpu-serial": SerialGpu,
            "gpu-shared": SharedGpu,
            "gpu-batching": BatchingGpu,
            "wave-load": WaveLoad,
            "service": StagedService,
            "stage": Stage,
            "batch-service": BatchService,
            "cold-start": ColdStart,
            "heartbeat": Heartbeat,
            "network": Network,
            "link": Link,
            "playback": Playback,
            "scheduler": SchedulerSection,
            "uniform": Uniform,
            "exponential": Exponential,
            "lognormal": Lognormal,
            "gamma": Gamma,
            "hyperexponential": Hyperexponential,
        }.items()
    },
}
"""What can stand between the marks, by name."""


# --- the picture ---

_THEME: Final = TerminalTheme(
    (250, 250, 250),
    (36, 41, 47),
    [
        (36, 41, 47),
        (207, 34, 46),
        (17, 99, 41),
        (77, 45, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (255, 255, 255),
    ],
)


def picture() -> str:
    """The terminal after ``simroom run``, as SVG, from a real run of the quickstart."""
    scenario = load(QUICKSTART)
    wall, processor = perf_counter(), process_time()
    ran = simulate(scenario)
    spent = Timing(
        wall_seconds=perf_counter() - wall,
        cpu_seconds=process_time() - processor,
        simulated_time=ran.ended_at,
        events=ran.events,
    )
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(told(ran, scenario, spent, again="simroom run"))
    svg = console.export_svg(title="simroom run", theme=_THEME, unique_id="simroom")
    # No font from elsewhere: the picture is shown without a network, and every system has a monospaced font.
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def text_of(svg: str) -> str:
    """What a picture says, line by line, without what depends on the machine."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text[^>]*? x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', svg, re.DOTALL):
        rows.setdefault(float(y), []).append((float(x), unescape(text).replace("\xa0", " ")))
    lines = ["".join(text for _, text in sorted(row)).rstrip() for _, row in sorted(rows.items())]
    return _TIMING.sub("in N s", "\n".join(lines))


# --- writing ---


def filled(text: str, file: str) -> str:
    """A page with its generated parts as they should be.

    Raises:
        KeyError: It has a mark with a name that there is not.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] not in BLOCKS:
            raise KeyError(f"{file}: there is no generated part called {match[2]}")
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}"

    return _BLOCK.sub(fill, text)


def pages() -> list[Path]:
    """Every page that may have generated parts."""
    return [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "README.zh-CN.md"]


def wanted() -> dict[Path, str]:
    """Every generated file, and every page with generated parts, as it should be."""
    found = {DOCS / "scenario.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if _BLOCK.search(text):
            found[page] = filled(text, page.name)
    return found | beside("incidents").wanted()


def out_of_date() -> list[Path]:
    """The files that are not as they should be."""
    found = [path for path, text in wanted().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if not PICTURE.is_file() or text_of(PICTURE.read_text(encoding="utf-8")) != text_of(picture()):
        found.append(PICTURE)
    return found


def main(arguments: list[str]) -> int:
    """Write, or check."""
    stale = out_of_date()
    if "--check" in arguments:
        sys.stderr.writelines(
            f"{path.relative_to(ROOT)} is out of date: run python docs/generate.py\n" for path in stale
        )
        return 1 if stale else 0
    for path, text in wanted().items():
        path.write_text(text, encoding="utf-8")
    if PICTURE in stale:
        PICTURE.write_text(picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
