"""``validate``, ``inspect`` and ``schema``: what can be said of scenario files without running them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from simroom.cli import estimates, exits, scenarios
from simroom.report.console import complain, write
from simroom.scenario.effective import effective_data
from simroom.scenario.jsonschema import json_schema
from simroom.scenario.printable import printable
from simroom.study.estimate import estimate
from simroom.study.summary import SCHEMA_VERSION, dumps


def validate(files: Sequence[Path]) -> int:
    """Check each file; say ``ok``, or everything that is wrong with it."""
    invalid = 0
    for path in files:
        found = scenarios.problems_of(path)
        if isinstance(found, scenarios.Sound):
            write(sys.stdout, f"{printable(str(path))}: ok\n")
        else:
            invalid += 1
            complain(scenarios.told(path, found))
    return exits.INVALID if invalid else exits.PASSED


def inspect(path: Path, overrides: Sequence[str], *, as_json: bool) -> int:
    """Show a scenario as it would be run, and what it comes to."""
    found = scenarios.sound(path, overrides)
    scenario = found.scenario
    size = estimate(scenario)
    if as_json:
        content = {
            "schema_version": SCHEMA_VERSION,
            "file": path.name,
            "hash": scenario.digest,
            "scenario": effective_data(scenario),
            "estimate": msgspec.to_builtins(size),
        }
        write(sys.stdout, dumps(content))
        return exits.PASSED
    write(sys.stdout, scenario.effective())
    text = "".join(f"# {label:<13} {said}\n" for label, said in estimates.lines(size))
    write(sys.stdout, f"\n# What it comes to, with everybody there all the time (hash {scenario.digest[:12]}):\n{text}")
    return exits.PASSED


def schema() -> int:
    """Print the JSON Schema of scenario files."""
    write(sys.stdout, json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return exits.PASSED
