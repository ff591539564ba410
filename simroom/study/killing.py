"""How the oracle proves itself: every bug of the bank on random scenarios until it is noticed, and none with no bug.

A bug counts as noticed when one of the invariants that must catch it is breached; what else goes wrong is noted too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from msgspec import Struct, to_builtins
from pydantic import ValidationError

from simroom.bugbank.bank import BUGS, CANARY, Bug
from simroom.oracle.verdict import INVARIANTS
from simroom.scenario.problems import ScenarioError
from simroom.study.drawing import drawn, text_of
from simroom.study.pool import Answer, Pool, Task
from simroom.study.shrink import shrunk
from simroom.study.trial import CRASH, ENDLESS, Data, Sign, Trial, tried, valid

SEEDS: Final = 500
"""Random scenarios a bug may take to be noticed."""
CLEAN: Final = 500
"""Random scenarios in which the scheduler without a bug must raise no alarm."""
TRIES: Final = 400
"""Scenarios tried to make one smaller."""
BEYOND: Final = 20
"""So many scenarios are watched after the one in which a bug is noticed, to see which invariants it breaches at all."""
CANARY_COUNT: Final = 20
"""In so many scenarios the canary must be noticed."""
CHUNK: Final = 25
"""So many scenarios without a bug are one piece of work."""
LIMIT_SECONDS: Final = 1_200.0
"""A piece of work that takes longer is given up."""

_LATER: Final = "judged at the end, after every step was: says what is stuck, and holds where no step can be judged"
_FARTHER: Final = "judged where results arrive: for networks that lose or repeat, and where nobody sees the port"
WHY: Final = {
    "I7": "who gets what is not for it is noticed by I1 too: says that it got out of the room",
    "L1": _LATER,
    "L2": _LATER,
    "L3": _LATER,
    "L4": _LATER,
    "may": _FARTHER,
    "must": _FARTHER,
}
"""Why there are invariants that no bug of the bank needs."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be proven, and how hard to try.

    Attributes:
        bugs: Names, in order.
        seeds: Random scenarios that a bug may take; rare ones take a multiple.
        clean: Random scenarios without a bug.
        tries: Scenarios tried to make each bug's smaller; 0: they are left as they are.
        jobs: Processes at work.
    """

    bugs: tuple[str, ...] = tuple(BUGS)
    seeds: int = SEEDS
    clean: int = CLEAN
    tries: int = TRIES
    jobs: int = 1


class Kill(Struct, frozen=True):
    """What became of one bug.

    Attributes:
        bug: Its name.
        seed: The first random scenario in which an invariant that must catch it was breached; None: it survived.
        seeds: Scenarios tried for that.
        caught_by: Every invariant breached in that scenario.
        breached: In how many of the scenarios watched each invariant was breached.
        alone: In how many of them it was the only one.
        error: The first time that the broken scheduler raised, or why it could not be tried at all; None: neither.
        operations: What is done in the smallest scenario found; None: none was looked for.
        scenario: That scenario as a file, or where none was looked for, the one it was noticed in.
    """

    bug: str
    seed: int | None
    seeds: int
    caught_by: tuple[str, ...]
    breached: dict[str, int]
    alone: dict[str, int]
    error: str | None = None
    operations: int | None = None
    scenario: str | None = None

    @property
    def missed(self) -> bool:
        """Whether it survived though it should not have."""
        return self.seed is None and BUGS[self.bug].equivalent is None


class Calm(Struct, frozen=True):
    """One random scenario with no bug.

    Attributes:
        signature: What went wrong all the same.
        deliveries: How many results reached somebody.
        canary: Whether the canary was noticed in it; None: it was not let loose.
    """

    seed: int
    signature: tuple[Sign, ...]
    deliveries: int
    canary: bool | None


class Use(Struct, frozen=True):
    """What one invariant is good for.

    Attributes:
        caught: How many bugs it caught, alone or with others.
        only: Bugs that no other invariant noticed in any scenario watched.
        alone: Bugs that in some scenario no other invariant noticed.
        why: Why it is there though it was never alone; None: it was, or nobody knows.
    """

    invariant: str
    caught: int
    only: tuple[str, ...]
    alone: tuple[str, ...]
    why: str | None


class Proof(Struct, frozen=True):
    """Everything that was found, in the order of the plan; less than all of it where it was interrupted."""

    plan: Plan
    calm: tuple[Calm, ...]
    kills: tuple[Kill, ...]

    @property
    def complete(self) -> bool:
        """Whether the whole plan was done."""
        return len(self.calm) == max(self.plan.clean, CANARY_COUNT) and len(self.kills) == len(self.plan.bugs)

    @property
    def missed(self) -> tuple[str, ...]:
        """Bugs that survived and are not signed off."""
        return tuple(kill.bug for kill in self.kills if kill.missed)

    @property
    def alarms(self) -> tuple[Calm, ...]:
        """Scenarios in which something was wrong with no bug."""
        return tuple(calm for calm in self.calm if calm.signature)

    @property
    def canary_noticed(self) -> bool:
        """Whether the canary was noticed in every scenario in which somebody should have heard something."""
        watched = [calm for calm in self.calm if calm.canary is not None and calm.deliveries]
        return bool(watched) and all(calm.canary for calm in watched)

    @property
    def passed(self) -> bool:
        """Whether the oracle has proven itself, as far as the proof goes."""
        return not self.missed and not self.alarms and self.canary_noticed

    def uses(self) -> tuple[Use, ...]:
        """What each invariant is good for, in their order."""
        return tuple(_use(invariant, self.kills) for invariant in INVARIANTS)


def proven(plan: Plan, told: Callable[[Proof], None] = lambda _: None) -> Proof:
    """Let loose every bug, the canary, and none at all.

    Args:
        plan: What to do.
        told: Called with what has been found so far, after every piece of work. Ctrl-C in it or between ends the
            work, and what has been found is returned.
    """
    chunks = _chunks(max(plan.clean, CANARY_COUNT))
    tasks: list[Task] = [partial(calm, first, count) for first, count in chunks]
    tasks += [partial(kill, name, plan.seeds, plan.tries) for name in plan.bugs]
    found: list[Calm] = []
    kills: list[Kill] = []
    try:
        with Pool(plan.jobs) as pool:
            for answer in pool.in_order(tasks, limit_seconds=LIMIT_SECONDS):
                if answer.position < len(chunks):
                    found += _calm_of(answer, *chunks[answer.position])
                else:
                    kills.append(_kill_of(answer, plan.bugs[answer.position - len(chunks)]))
                told(Proof(plan, tuple(found), tuple(kills)))
    except KeyboardInterrupt:
        pass
    return Proof(plan, tuple(found), tuple(kills))


def _chunks(count: int) -> list[tuple[int, int]]:
    return [(first, min(CHUNK, count - first)) for first in range(0, count, CHUNK)]


def _calm_of(answer: Answer[Any], first: int, count: int) -> Sequence[Calm]:
    if answer.result is not None:
        return list(answer.result)
    return [Calm(seed, (ENDLESS,), 0, None) for seed in range(first, first + count)]


def _kill_of(answer: Answer[Any], name: str) -> Kill:
    if answer.fate == "done":
        assert isinstance(answer.result, Kill)
        return answer.result
    return Kill(name, None, 0, (), {}, {}, error=f"its process {answer.fate}: {answer.why or 'it took too long'}")


# --- one piece of work ---


def calm(first: int, count: int) -> list[Calm]:
    """Try random scenarios with no bug, and the first of all with the canary."""
    found = []
    for seed in range(first, first + count):
        data = drawn(seed)
        sound = tried(data)
        canary = None
        if seed < CANARY_COUNT:
            canary = _catches(tried(data, scheduler=CANARY.make), CANARY)
        found.append(Calm(seed, sound.signature, sound.deliveries, canary))
    return found


def kill(name: str, seeds_max: int, tries_max: int = TRIES) -> Kill:
    """Let a bug loose on random scenarios until it is noticed, and make that scenario small.

    Args:
        name: The bug's.
        seeds_max: Scenarios that it may take; as many times more where the bug is rare.
        tries_max: Scenarios tried to make it smaller; 0: it is left as it is.
    """
    bug = BUGS[name]
    seeds_max *= bug.rarity
    caught: Trial | None = None
    breached: dict[str, int] = {}
    alone: dict[str, int] = {}
    error = None
    seed = 0
    for seed in range(seeds_max):
        trial = tried(drawn(seed), scheduler=bug.make)
        error = error or trial.error
        _count(trial, breached, alone)
        if _catches(trial, bug):
            caught = trial
            break
    if caught is None:
        return Kill(name, None, seeds_max, (), breached, alone, error=error)
    for beyond in range(seed + 1, seed + 1 + BEYOND):
        _count(tried(drawn(beyond), scheduler=bug.make), breached, alone)
    data, operations = drawn(seed), None
    if tries_max:
        smallest = shrunk(data, partial(_still_caught, bug, _sign_of(caught, bug)), tries_max=tries_max)
        data, operations = smallest.data, smallest.operations
    return Kill(
        name, seed, seed + 1, _invariants(caught), breached, alone, error, operations, text_of({**data, "bug": name})
    )


def _still_caught(bug: Bug, sign: Sign, data: Data) -> bool:
    try:
        return sign in tried(data, scheduler=bug.make).signature and valid(data)
    except (ScenarioError, ValidationError):
        return False


def _catches(trial: Trial, bug: Bug) -> bool:
    return any(invariant in bug.invariants for invariant, _ in trial.signature)


def _sign_of(trial: Trial, bug: Bug) -> Sign:
    """What the smaller scenario must show too."""
    return next(sign for sign in trial.signature if sign[0] in bug.invariants)


def _invariants(trial: Trial) -> tuple[str, ...]:
    """The invariants that were breached, in their order."""
    found = {invariant for invariant, _ in trial.signature}
    return tuple(invariant for invariant in INVARIANTS if invariant in found)


def _count(trial: Trial, breached: dict[str, int], alone: dict[str, int]) -> None:
    found = _invariants(trial)
    for invariant in found:
        breached[invariant] = breached.get(invariant, 0) + 1
    if len(found) == 1 and not any(invariant in (CRASH, ENDLESS[0]) for invariant, _ in trial.signature):
        alone[found[0]] = alone.get(found[0], 0) + 1


# --- what the invariants are good for ---


def _use(invariant: str, kills: Sequence[Kill]) -> Use:
    only = tuple(kill.bug for kill in kills if set(kill.breached) == {invariant})
    alone = tuple(kill.bug for kill in kills if kill.alone.get(invariant))
    caught = sum(invariant in kill.breached for kill in kills)
    return Use(invariant, caught, only, alone, None if alone else WHY.get(invariant))


def proof_data(proof: Proof) -> dict[str, Any]:
    """The proof as JSON holds it."""
    return {
        "passed": proof.passed,
        "complete": proof.complete,
        "seeds": proof.plan.seeds,
        "canary_noticed": proof.canary_noticed,
        "clean": {
            "scenarios": len(proof.calm),
            "alarms": [
                {"seed": calm.seed, "signature": [list(sign) for sign in calm.signature]} for calm in proof.alarms
            ],
        },
        "missed": list(proof.missed),
        "bugs": [
            {"number": BUGS[kill.bug].number, "name": kill.bug, "what": BUGS[kill.bug].what, **_without_name(kill)}
            for kill in proof.kills
        ],
        "invariants": [to_builtins(use) for use in proof.uses()],
    }


def _without_name(kill: Kill) -> dict[str, Any]:
    fields: dict[str, Any] = to_builtins(kill)
    del fields["bug"]
    return fields


def bank() -> Iterator[Bug]:
    """Every bug there is, in order of number, and the canary before them."""
    yield CANARY
    yield from BUGS.values()
