"""The shipped scenarios: each is explained and valid, passes, and fails once the rule it shows is switched off."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from simroom.cli import exits, scenarios
from simroom.cli.run import Options, run
from simroom.scenario.load import load

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "scenarios"
DATA = LIBRARY / "data"
SCHEMA = ROOT / "docs" / "scenario.schema.json"
SLOW = {"fleets/large.yaml", "fleets/medium.yaml", "theory/mm1.yaml", "theory/mm4.yaml"}
"""Those that take more than a second or two."""

FILES = sorted(
    path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.yaml") if path.parent.name != "regressions"
)
COMMAND = "import sys; sys.argv[0] = 'simroom'; from simroom.cli.main import main; main()"
_HEADER = re.compile(
    r"# yaml-language-server: \$schema=(?P<schema>\S+)\n#\n"
    r"# Covers:      \S.*\n(#              \S.*\n)*"
    r"# Question:    \S.*\n(#              \S.*\n)*"
    r"# Expectation: \S.*\n(#              \S.*\n)*"
)

RULES = {
    "single session: to the speaker only": ("single-session",),
    "room: one job a language, the speaker included": ("room-fan-out",),
    "the same selection in both modes": ("same-selection-in-both-modes",),
    "only ready nodes, warm-up": ("ready-nodes-only",),
    "public pool, GPU present": ("public-pool",),
    "module expansion": ("module-expansion",),
    "resource threshold": ("resource-threshold",),
    "slots, least connections, ties, load": (
        "slots",
        "least-connections",
        "ties-first",
        "ties-rotate",
        "ties-random",
        "load-reported",
    ),
    "sticky and paired nodes": ("sticky-none", "sticky-session", "sticky-room", "pairing"),
    "rooms end": ("room-expiry",),
    "largest room": ("room-size-max",),
    "a node's life, heartbeats": ("node-life", "heartbeat"),
    "order": ("order-strict", "order-gap", "order-none"),
    "late results": ("order-gap", "order-late-deliver"),
    "attempts, time-outs, cancelling": ("attempts", "cancel-moot"),
    "node loss": ("node-loss",),
    "no node: reject or queue": ("no-node-reject", "no-node-queue"),
    "reconnecting within the grace": ("reconnect-grace",),
    "change of language": ("language-change",),
    "membership": ("membership-live", "membership-snapshot", "membership-both"),
    "churn": ("churn",),
    "languages": ("norwegian", "auto-source", "language-match-exact", "language-match-primary", "same-language"),
    "the speaker's own target": ("session-target",),
    "GPU models": ("gpu-models",),
}
"""Which scenarios show which rule; every scenario under ``rules/`` is in it."""

SWITCHED_OFF = [
    ("rules/attempts.yaml", "scheduler.max_attempts=1"),
    ("rules/attempts.yaml", "scheduler.job_timeout=2min"),
    ("rules/auto-source.yaml", "nodes.nordic.pairs=[ja>en, ja>zh]"),
    ("rules/cancel-moot.yaml", "scheduler.cancel=never"),
    ("rules/gpu-models.yaml", "nodes.serial.gpu.streams=2"),
    ("rules/heartbeat.yaml", "scheduler.heartbeat_timeout=10min"),
    ("rules/language-change.yaml", "scheduler.membership=snapshot"),
    ("rules/language-match-exact.yaml", "scheduler.language_match=primary"),
    ("rules/language-match-primary.yaml", "scheduler.language_match=exact"),
    ("rules/load-reported.yaml", "scheduler.load=tracked"),
    ("rules/membership-both.yaml", "scheduler.membership=live"),
    ("rules/membership-snapshot.yaml", "scheduler.membership=both"),
    ("rules/module-expansion.yaml", "nodes.bare.modules=[speaker_identification,voice_cloning]"),
    ("rules/no-node-queue.yaml", "scheduler.on_no_node=reject"),
    ("rules/no-node-reject.yaml", "scheduler.on_no_node=queue"),
    ("rules/node-loss.yaml", "scheduler.max_attempts=1"),
    ("rules/order-gap.yaml", "scheduler.ordering=strict"),
    ("rules/order-late-deliver.yaml", "scheduler.late=drop"),
    ("rules/order-none.yaml", "scheduler.ordering=gap"),
    ("rules/order-strict.yaml", "scheduler.ordering=gap"),
    ("rules/pairing.yaml", "scheduler.pairing={my-desk: a}"),
    ("rules/public-pool.yaml", "nodes.private.public=true"),
    ("rules/ready-nodes-only.yaml", "lead_in=90s"),
    ("rules/reconnect-grace.yaml", "scheduler.reconnect_grace=0s"),
    ("rules/resource-threshold.yaml", "scheduler.resource_threshold=100%"),
    ("rules/room-expiry.yaml", "scheduler.room_expiry=30min"),
    ("rules/room-size-max.yaml", "scheduler.room_size_max=3"),
    ("rules/same-language.yaml", "scheduler.same_language=skip"),
    ("rules/session-target.yaml", "scheduler.fan_out=per_language"),
    ("rules/slots.yaml", "nodes.a.slots=4"),
    ("rules/sticky-none.yaml", "scheduler.sticky=room"),
    ("rules/sticky-room.yaml", "scheduler.sticky=none"),
    ("rules/sticky-session.yaml", "scheduler.sticky=none"),
    ("rules/ties-first.yaml", "scheduler.tie_break=rotate"),
    ("rules/ties-rotate.yaml", "scheduler.tie_break=first"),
    ("rules/ties-random.yaml", "scheduler.tie_break=first"),
]
"""With this one change the scenario must fail: its expectations are about the rule and not about anything else."""


def run_here(file: Path, out: Path, *overrides: str, seed: int | None = None) -> int:
    """Run a scenario as the command does, in this process."""
    return run(
        Options(
            scenario=file,
            seed=seed,
            overrides=overrides,
            out=out,
            as_json=False,
            quiet=True,
            colour=False,
            rows="csv",
            scheduler=None,
            force=False,
        )
    )


def each_file() -> list[object]:
    """Every shipped scenario; the large ones are marked."""
    return [pytest.param(file, marks=pytest.mark.slow if file in SLOW else ()) for file in FILES]


@pytest.mark.parametrize("file", FILES)
def test_a_shipped_scenario_is_valid_by_the_schema_that_editors_use(file: str) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    data = YAML(typ="safe", pure=True).load((LIBRARY / file).read_text(encoding="utf-8"))
    problems = list(jsonschema.Draft202012Validator(schema).iter_errors(data))
    assert not problems, "\n".join(f"{problem.json_path}: {problem.message[:300]}" for problem in problems)


@pytest.mark.parametrize("file", FILES)
def test_a_shipped_scenario_says_what_it_covers_asks_and_expects(file: str) -> None:
    path = LIBRARY / file
    header = _HEADER.match(path.read_text(encoding="utf-8"))
    assert header is not None, "the header is: modeline, Covers, Question, Expectation"
    assert (path.parent / header["schema"]).resolve() == SCHEMA
    found = scenarios.problems_of(path)
    assert isinstance(found, scenarios.Sound), found
    assert found.scenario.tags
    expected = {expectation.text for expectation in found.expectations}
    if found.scenario.bug is None:
        assert {"violations == 0", "deliveries.missing == 0"} < expected, "and something that shows the rule at work"
    else:
        assert any(text.startswith("violations{") for text in expected), "and which invariant notices the bug"


@pytest.mark.parametrize("file", each_file())
def test_a_shipped_scenario_passes(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_here(LIBRARY / file, tmp_path)
    told = capsys.readouterr().out
    assert code == exits.PASSED, told
    summary = json.loads(next(tmp_path.glob("*/summary.json")).read_text(encoding="utf-8"))
    assert summary["verdict"] == "passed"
    assert (summary["violations"]["total"] == 0) == (summary["bug"] is None)
    assert all(expectation["passed"] for expectation in summary["expectations"])
    judged = {key: invariant["judged"] for key, invariant in summary["invariants"].items()}
    # A result for nobody is a judgement of I1 too; only where it is expected that there is none at all, there is none.
    assert judged["I1"] > 0 or "deliveries == 0" in {expectation["text"] for expectation in summary["expectations"]}
    assert judged["I6"] > 0


@pytest.mark.parametrize(("file", "override"), SWITCHED_OFF)
def test_a_scenario_fails_when_the_rule_it_shows_is_switched_off(
    file: str, override: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(LIBRARY / file, tmp_path, override) == exits.FAILED
    summary = json.loads(next(tmp_path.glob("*/summary.json")).read_text(encoding="utf-8"))
    # What fails is an expectation: under the other setting the scheduler is as right as before.
    assert summary["violations"]["total"] == 0
    assert not all(expectation["passed"] for expectation in summary["expectations"])


def test_every_rule_has_its_scenarios_and_every_rule_scenario_its_rule() -> None:
    named = {f"rules/{name}.yaml" for names in RULES.values() for name in names}
    assert named == {file for file in FILES if file.startswith("rules/")}


def test_the_quickstart_refers_to_no_other_file() -> None:
    """It is shipped alone, inside the package."""
    scenario = load(LIBRARY / "quickstart.yaml")
    assert not scenario._references
    assert "$schema=../docs" in (LIBRARY / "quickstart.yaml").read_text(encoding="utf-8")


def test_every_data_file_is_used_and_has_its_notice() -> None:
    notice = (DATA / "NOTICE.md").read_text(encoding="utf-8")
    used = {
        (path.parent / reference).resolve()
        for path in (LIBRARY / file for file in FILES)
        for reference in load(path)._references
    }
    shipped = {path.resolve() for path in DATA.iterdir() if path.name != "NOTICE.md"}
    assert used == shipped
    for path in shipped:
        assert f"`{path.name}`" in notice, f"{path.name}: source and licence are missing"


# --- other meetings ---

SPEAKERS_OF_MANY = "".join(f"SPEAKER m 1 {at}.5 2.25 <NA> <NA> spk{at:02} <NA> <NA>\n" for at in range(21))
MEETINGS = {
    "one segment": "SPEAKER one 1 3.0 2.5 <NA> <NA> A <NA> <NA>\n",
    "a monologue of 259 s": "SPEAKER mono 1 0.0 259.0 <NA> <NA> Solo <NA> <NA>\n",
    "two who begin together, not in order of time": (
        "SPEAKER t 1 10.0 2.5 <NA> <NA> B <NA> <NA>\n"
        "SPEAKER t 1 3.0 2.5 <NA> <NA> A <NA> <NA>\n"
        "SPEAKER t 1 3.0 2.5 <NA> <NA> B <NA> <NA>\n"
    ),
    "five at once": "".join(f"SPEAKER f 1 5.0 {3 + who} <NA> <NA> {who} <NA> <NA>\n" for who in range(5)),
    "twenty-one speakers": SPEAKERS_OF_MANY,
}


@pytest.mark.parametrize("what", [*MEETINGS, *sorted(path.name for path in DATA.glob("*.rttm"))])
def test_another_meeting_runs_by_changing_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if what in MEETINGS:
        (tmp_path / "other.rttm").write_text(MEETINGS[what], encoding="utf-8")
    else:
        shutil.copy(DATA / what, tmp_path / "other.rttm")
    text = (LIBRARY / "ami-meeting.yaml").read_text(encoding="utf-8")
    changed = re.sub(r"(?m)^( *meeting:) data/ES2004a\.rttm$", r"\1 other.rttm", text)
    assert sum(a != b for a, b in zip(text.splitlines(), changed.splitlines(), strict=True)) == 1
    (tmp_path / "meeting.yaml").write_text(changed, encoding="utf-8")
    assert run_here(tmp_path / "meeting.yaml", tmp_path / "out") == exits.PASSED, capsys.readouterr().out


# --- the same bytes ---


def started(file: str, out: Path, hash_seed: str) -> subprocess.Popen[bytes]:
    """Begin a run in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", COMMAND, "run", str(LIBRARY / file), "--out", str(out), "--quiet"]
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    "file",
    ["quickstart.yaml", "ami-meeting.yaml", "rules/churn.yaml", "rules/order-gap.yaml"],
)
def test_two_processes_with_different_hash_seeds_leave_the_same_bytes(file: str, tmp_path: Path) -> None:
    processes = {seed: started(file, tmp_path / f"out{seed}", seed) for seed in ("0", "2147483647")}
    left: dict[str, dict[str, str]] = {}
    for seed, process in processes.items():
        _, complaints = process.communicate(timeout=60)
        assert process.returncode == exits.PASSED, complaints.decode()
        (folder,) = (tmp_path / f"out{seed}").iterdir()
        left[seed] = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
            # How long it took, and the log, which says so too.
            if path.name not in ("timing.json", "log.txt")
        }
    first, second = left.values()
    assert set(first) == {"deliveries.csv", "scenario.yaml", "series.json", "summary.json"}
    assert first == second


def test_another_seed_leaves_other_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashes = set()
    for seed in (1, 2):
        assert run_here(LIBRARY / "quickstart.yaml", tmp_path, seed=seed) == exits.PASSED
        text = (tmp_path / f"quickstart-{seed}" / "summary.json").read_text(encoding="utf-8")
        hashes.add(json.loads(text)["trace_hash"])
    assert len(hashes) == 2
