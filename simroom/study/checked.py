"""What became of a scenario that was checked, as cases that passed or did not: what a test report has for one.

There is a case for the run itself, that it went to its end with nothing breached, and one for each expectation.
Everything that does not pass says in which line of the file it stands, what was found, and what to type next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from simroom.oracle.verdict import INVARIANTS
from simroom.study.amounts import amount, exact, within
from simroom.study.conclusion import is_about_violations
from simroom.study.expect import Expectation
from simroom.study.judging import Judged
from simroom.study.replication import Breach, Replication
from simroom.study.runs import Blame, Ran
from simroom.study.words import counted, stopwatch

CaseWord = Literal["passed", "failed", "inconclusive", "error"]
CaseKind = Literal["scenario", "run", "expectation", "baseline"]
CheckWord = Literal["crashed", "invalid", "failed", "over_time", "inconclusive", "not_run", "passed"]

WORDS: Final[tuple[CheckWord, ...]] = (
    "crashed",
    "invalid",
    "failed",
    "over_time",
    "inconclusive",
    "not_run",
    "passed",
)
"""From the worst on."""
COMPLETED: Final = "run completed"
"""Name of the case that is about the run itself."""
VALID: Final = "scenario is valid"
"""Name of the one case of a scenario that cannot be read."""
_CASE_WORDS: Final[tuple[CaseWord, ...]] = ("error", "failed", "inconclusive", "passed")
"""From the worst on."""


class Case(Struct, frozen=True):
    """One thing that was judged.

    Attributes:
        name: What it is called, the same in every run, and of no other case of the scenario.
        word: What became of it; ``error`` where it could not be judged at all.
        what: What was found, in a sentence; empty where there is nothing to say.
        line: Line of the scenario file that it stands in, from 1; None: in none.
        kind: What it is about.
        details: More about it, a sentence each.
        value: What was measured, in base units; None: nothing was, or not one number.
        following: The command that tells more, word by word; empty: none does.
    """

    name: str
    word: CaseWord
    what: str = ""
    line: int | None = None
    kind: CaseKind = "expectation"
    details: tuple[str, ...] = ()
    value: float | None = None
    following: tuple[str, ...] = ()


class Checked(Struct, frozen=True):
    """A scenario that was checked.

    Attributes:
        path: As it was found.
        name: Title of the scenario; None: it cannot be read.
        tags: Of the scenario.
        digest: Hash of the effective scenario; None: it cannot be read.
        seeds: Of its replications, in order.
        word: What it comes to.
        cases: In stated order: the run, then expectations as in the file, then what a baseline adds.
        warnings: What must not be overlooked, whatever the word.
        notes: What is worth saying and no failure.
        replications: In order, those that came to an end.
        wall_seconds: Of all replications together.
        blame: Whose fault it is that it crashed; None: it did not.
    """

    path: Path
    name: str | None
    tags: tuple[str, ...]
    digest: str | None
    seeds: tuple[int, ...]
    word: CheckWord
    cases: tuple[Case, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    replications: tuple[Replication, ...] = ()
    wall_seconds: float = 0.0
    blame: Blame | None = None

    @property
    def bad(self) -> tuple[Case, ...]:
        """The cases that did not pass, the worst first."""
        found = (one for one in self.cases if one.word != "passed")
        return tuple(sorted(found, key=lambda one: _CASE_WORDS.index(one.word)))

    @property
    def line(self) -> int | None:
        """The line to look at first; None: there is none."""
        return next((one.line for one in self.bad if one.line is not None), None)

    @property
    def badness(self) -> tuple[int, int, str]:
        """What to sort by, so that the worst comes first."""
        return WORDS.index(self.word), -len(self.bad), self.path.as_posix()


class Tally(Struct, frozen=True):
    """A check as a whole.

    Attributes:
        checked: Every scenario, in the order in which they were found.
        wall_seconds: From its start to its end.
        interrupted: It was stopped from outside.
        left_out: YAML files under the paths that are no scenarios.
    """

    checked: tuple[Checked, ...]
    wall_seconds: float
    interrupted: bool
    left_out: int

    @property
    def counts(self) -> dict[CheckWord, int]:
        """Scenarios by word, from the worst on, those that there are."""
        found = Counter(one.word for one in self.checked)
        return {word: found[word] for word in WORDS if found[word]}

    @property
    def worst(self) -> CheckWord:
        """The worst word; of nothing ``passed``."""
        return next(iter(self.counts), "passed")

    @property
    def word(self) -> str:
        """The one word for all."""
        return "interrupted" if self.interrupted else self.worst


class Commands(Struct, frozen=True):
    """What to type about a scenario.

    Attributes:
        path: The scenario.
        overrides: ``key.path=value`` each.
        scheduler: ``package.module:factory``; None: simroom's.
    """

    path: Path
    overrides: tuple[str, ...] = ()
    scheduler: str | None = None

    def of(self, command: str, *more: str) -> tuple[str, ...]:
        """A command that runs it, such as ``run`` or ``baseline update``."""
        own = () if self.scheduler is None else ("--scheduler", self.scheduler)
        return (*self._of(command), *more, *self._sets, *own)

    @property
    def validate(self) -> tuple[str, ...]:
        """Tells all that is wrong with the file."""
        return self._of("validate")

    @property
    def inspect(self) -> tuple[str, ...]:
        """Shows what it comes to, without running it."""
        return (*self._of("inspect"), *self._sets)

    @property
    def _sets(self) -> tuple[str, ...]:
        return tuple(word for override in self.overrides for word in ("--set", override))

    def _of(self, command: str) -> tuple[str, ...]:
        path = str(self.path)
        # What begins with a dash would be taken for an option.
        return ("simroom", *command.split(), f"./{path}" if path.startswith("-") else path)

    def run(self, seed: int) -> tuple[str, ...]:
        """Runs one replication again."""
        return self.of("run", "--seed", str(seed))

    def violation(self, seed: int) -> tuple[str, ...]:
        """Tells the first violation."""
        return self.of("explain", "--violation", "1", "--seed", str(seed))

    def slowest(self, seed: int) -> tuple[str, ...]:
        """Tells the slowest delivery."""
        return self.of("explain", "--slowest", "--seed", str(seed))


# --- the run itself ----------------------------------------------------------------------------------------------


def run_case(ran: Sequence[Ran], expectations: Sequence[Expectation], commands: Commands) -> Case:
    """Whether every replication went to its end with no invariant breached."""
    bad = [one for one in ran if one.word != "passed"]
    line = next((one.line for one in expectations if is_about_violations(one) and one.line is not None), None)
    if not bad:
        return Case(COMPLETED, "passed", kind="run")
    first = next((one for one in bad if one.word == "failed"), bad[0])
    seed = first.replication.seed
    where = "" if len(ran) == 1 else f" (in {len(bad):,} of {len(ran):,} replications; the first has seed {seed})"
    breached = bool(first.replication.violations)
    return Case(
        name=COMPLETED,
        word="failed" if first.word == "failed" else "inconclusive",
        what=first.reasons[0] + where,
        line=line,
        kind="run",
        details=(*first.reasons[1:], *(_told(one) for one in first.replication.violations)),
        following=commands.violation(seed) if breached else commands.run(seed),
    )


def _told(breach: Breach) -> str:
    """A violation in a sentence."""
    about = breach.speaker or ""
    if about and breach.utterance_index is not None:
        about += f" #{breach.utterance_index}"
    if breach.language is not None:
        about += f" → {breach.language}"
    name = INVARIANTS.get(breach.invariant, breach.kind)
    said = f"{about}: {breach.what}" if about else breach.what
    return f"{breach.invariant} {name}, {stopwatch(breach.at)}: {said}"


# --- expectations ------------------------------------------------------------------------------------------------


def met_cases(expectations: Sequence[Expectation], ran: Ran, commands: Commands) -> Iterator[Case]:
    """The expectations of a single run, as ``simroom run`` judges them."""
    seed = ran.replication.seed
    for name, expectation, met in zip(case_names(expectations), expectations, ran.met, strict=True):
        shown = amount if met.passed else exact
        yield Case(
            name=name,
            word="passed" if met.passed else "failed",
            what=met.reason or f"is {shown(met.value, expectation.unit)}",
            line=expectation.line,
            value=met.value,
            following=() if met.passed else _following(expectation, seed, commands),
        )


def judged_cases(outcomes: Sequence[Judged], seeds: Sequence[int], commands: Commands) -> Iterator[Case]:
    """The expectations of several replications, as what these say together."""
    expectations = [one.expectation for one in outcomes]
    for name, one in zip(case_names(expectations), outcomes, strict=True):
        following: tuple[str, ...] = ()
        if one.decision == "fails":
            following = _following(one.expectation, one.seed or seeds[0], commands)
        elif one.decision == "inconclusive" and one.further:
            following = commands.of("check", "--replications", str(len(seeds) + one.further))
        yield Case(
            name=name,
            word={"holds": "passed", "fails": "failed", "inconclusive": "inconclusive"}[one.decision],  # type: ignore[arg-type]
            what=_judged(one),
            line=one.expectation.line,
            value=one.estimate.value if one.estimate.value is not None else one.estimate.mean,
            following=following,
        )


def _judged(one: Judged) -> str:
    around, unit = one.estimate.interval, one.expectation.unit
    if one.for_each or around is None:
        return one.reason or f"is {amount(one.estimate.mean, unit)} in each replication"
    told = f"is {within(around, unit)}"
    if around.low != around.high:
        told += f" over {counted(around.n, 'replication')}"
    return told if one.reason is None else f"{told}: {one.reason}"


def _following(expectation: Expectation, seed: int, commands: Commands) -> tuple[str, ...]:
    if is_about_violations(expectation):
        return commands.violation(seed)
    if expectation.unit == "time" and not expectation.tags:
        return commands.slowest(seed)
    return commands.run(seed)


def case_names(expectations: Iterable[Expectation]) -> Iterator[str]:
    """What their cases are called: as they are written, and those that are written twice with a number."""
    seen: Counter[str] = Counter([COMPLETED])
    for one in expectations:
        text = " ".join(one.text.split())
        seen[text] += 1
        yield text if seen[text] == 1 else f"{text} ({seen[text]})"


def word_of(cases: Iterable[Case]) -> CheckWord:
    """What cases come to, where each could be judged."""
    words = {one.word for one in cases}
    if words & {"failed", "error"}:
        return "failed"
    return "inconclusive" if "inconclusive" in words else "passed"
