"""Two runs held against each other: the first decision in which they differ, what moved, and what is better or worse.

Both meet the same luck, so the same is said at the same instants; all else that differs is the schedulers' doing, or
that of the settings. Jobs are matched by what they are the job of, deliveries by their job and recipient.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct

from simroom.study.difference import Difference
from simroom.study.life import Life, Step
from simroom.study.routes import Route

MOVED_KEPT: Final = 20
"""Jobs and deliveries that moved and are told one by one, the first ones and those that moved most."""

What = Literal["job", "selection", "end", "routing"]
"""What a decision is about: whether there is such a job, where it ran, how it ended, whom its result reached."""
_ORDER: Final[tuple[What, ...]] = ("job", "selection", "end", "routing")


class Decision(Struct, frozen=True):
    """A decision in which two runs differ.

    Attributes:
        at: When the earlier of the two was made, from the scenario's time 0.
        what: What it is about.
        before: The job in the first run; None: there was no such job.
        after: The job in the second run; likewise.
    """

    at: int
    what: What
    before: Route | None
    after: Route | None

    @property
    def route(self) -> Route:
        """The job, as the run has it that has it."""
        found = self.before or self.after
        assert found is not None
        return found


class Moved(Struct, frozen=True):
    """A delivery that arrived at another time.

    Attributes:
        route: Its job, in the second run.
        recipient: Whom it reached.
        shift: How much later it arrived in the second run, whole microseconds; below 0: earlier.
    """

    route: Route
    recipient: str
    shift: int


class Jobs(Struct, frozen=True):
    """What became of the jobs of two runs.

    Attributes:
        both: Jobs that both have.
        only_before: Jobs that only the first has; ``only_after`` likewise.
        elsewhere: Those of both that ran on another node, or at another attempt.
        ended_otherwise: Those of both that ended in another way.
    """

    both: int
    only_before: int
    only_after: int
    elsewhere: int
    ended_otherwise: int

    @property
    def moved(self) -> int:
        """All of which something was decided otherwise, but for whom they reached."""
        return self.only_before + self.only_after + self.elsewhere + self.ended_otherwise


class Deliveries(Struct, frozen=True):
    """What became of the deliveries of two runs.

    Attributes:
        both: Deliveries that both have.
        only_before: Deliveries that only the first has; ``only_after`` likewise.
        earlier: Those of both that came earlier in the second; ``later`` likewise.
        most: Those that moved most, the most first.
        mean_shift: By how much they moved on average, microseconds; None: both have none.
    """

    both: int
    only_before: int
    only_after: int
    earlier: int
    later: int
    most: tuple[Moved, ...]
    mean_shift: float | None


class Runs(Struct, frozen=True):
    """Two runs with the same luck, job by job.

    Attributes:
        first: The first decision in which they differ; None: they differ in none.
        decisions: The first ones, in order of time, ``first`` among them.
        decision_count: How many there are.
        jobs: What became of the jobs.
        deliveries: What became of the deliveries.
    """

    first: Decision | None
    decisions: tuple[Decision, ...]
    decision_count: int
    jobs: Jobs
    deliveries: Deliveries

    @property
    def same(self) -> bool:
        """Whether the same was decided about every job, and everybody got the same at the same time."""
        moved = self.deliveries.earlier + self.deliveries.later
        return self.decision_count == 0 and moved == 0


class Way(Struct, frozen=True):
    """One of the two ways.

    Attributes:
        label: What it is called.
        file: The scenario's file, or the run folder.
        version: Of the simroom that ran it.
        seed: Of its first replication.
        verdict: What that came to by itself.
        violations: How many that has.
        trace_hash: Of everything that happened in it.
    """

    label: str
    file: str
    version: str
    seed: int
    verdict: str
    violations: int
    trace_hash: str


class Comparison(Struct, frozen=True):
    """Two ways of running a scenario.

    Attributes:
        before: The first way; ``after`` the second.
        seeds: Of the replications that figures are compared over.
        runs: The first replication of both, job by job; None: their deliveries were not kept.
        lives: What was said at the first difference, told for both; None: it could not be told, or nothing differs.
        differences: Of figures, those to be looked at first at the front.
        notes: What is to be said of it besides.
    """

    before: Way
    after: Way
    seeds: tuple[int, ...]
    runs: Runs | None
    lives: tuple[Life | None, Life | None]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def word(self) -> Literal["worse", "inconclusive", "different", "same"]:
        """One word for all of it: ``different`` where nothing is worse."""
        words = {one.word for one in self.differences}
        if "worse" in words:
            return "worse"
        if "inconclusive" in words:
            return "inconclusive"
        same = self.runs is not None and self.runs.same and words <= {"same"}
        return "same" if same or self.before.trace_hash == self.after.trace_hash else "different"


# --- job by job --------------------------------------------------------------------------------------------------


def held(before: Iterable[Route], after: Iterable[Route]) -> Runs:
    """Hold the jobs of two runs against each other."""
    pairs = list(_matched(before, after))
    decisions = sorted(
        (one for pair in pairs for one in _decisions(*pair)),
        key=lambda one: (one.at, _ORDER.index(one.what), one.route.key),
    )
    kinds = Counter(one.what for one in decisions)
    jobs = Jobs(
        both=sum(one is not None and other is not None for one, other in pairs),
        only_before=sum(other is None for _, other in pairs),
        only_after=sum(one is None for one, _ in pairs),
        elsewhere=kinds["selection"],
        ended_otherwise=kinds["end"],
    )
    return Runs(
        first=decisions[0] if decisions else None,
        decisions=tuple(decisions[:MOVED_KEPT]),
        decision_count=len(decisions),
        jobs=jobs,
        deliveries=_deliveries(pairs),
    )


def _matched(
    before: Iterable[Route], after: Iterable[Route]
) -> Iterator[tuple[Route, Route | None] | tuple[None, Route]]:
    """Jobs of the same, and those that only one run has; of several that are alike the first with the first."""
    waiting: defaultdict[tuple[int, str, str], list[Route]] = defaultdict(list)
    for route in after:
        waiting[route.key].append(route)
    for alike in waiting.values():
        alike.reverse()
    for route in before:
        alike = waiting[route.key]
        yield route, alike.pop() if alike else None
    for alike in waiting.values():
        for route in reversed(alike):
            yield None, route


def _decisions(before: Route | None, after: Route | None) -> Iterator[Decision]:
    """The decisions about a job in which two runs differ."""
    if before is None or after is None:
        only = before or after
        assert only is not None
        yield Decision(only.at, "job", before, after)
        return
    if (before.node, before.attempts) != (after.node, after.attempts):
        placed = [one.placed_at for one in (before, after) if one.placed_at is not None]
        yield Decision(min(placed, default=min(before.at, after.at)), "selection", before, after)
    ended = [one.ended_at for one in (before, after) if one.ended_at is not None]
    at = min(ended, default=max(before.at, after.at))
    if before.end != after.end:
        yield Decision(at, "end", before, after)
    elif before.recipients != after.recipients:
        yield Decision(at, "routing", before, after)


def _deliveries(pairs: Sequence[tuple[Route | None, Route | None]]) -> Deliveries:
    only_before = only_after = both = earlier = later = total = 0
    most: list[Moved] = []
    for before, after in pairs:
        old, new = _arrivals(before), _arrivals(after)
        for recipient in {**old, **new}:
            was, now = old.get(recipient, []), new.get(recipient, [])
            only_before += max(0, len(was) - len(now))
            only_after += max(0, len(now) - len(was))
            for shift in (other - one for one, other in zip(was, now, strict=False)):
                both += 1
                total += shift
                earlier += shift < 0
                later += shift > 0
                if shift and after is not None:
                    most.append(Moved(after, recipient, shift))
    most.sort(key=lambda one: (-abs(one.shift), one.route.key, one.recipient))
    mean = total / both if both else None
    return Deliveries(both, only_before, only_after, earlier, later, tuple(most[:MOVED_KEPT]), mean)


def _arrivals(route: Route | None) -> dict[str, list[int]]:
    """When a job's result reached each recipient, in order of time."""
    found: dict[str, list[int]] = {}
    if route is not None:
        for name, at in zip(route.recipients, route.arrived_at, strict=True):
            found.setdefault(name, []).append(at)
    return found


# --- the first difference, told ----------------------------------------------------------------------------------


class Fork(Struct, frozen=True):
    """Two lives of an utterance, as far as they are one and where they part.

    Attributes:
        common: Steps that both have, up to where they part.
        before: Steps of the first from there on; ``after`` of the second.
    """

    common: tuple[Step, ...]
    before: tuple[Step, ...]
    after: tuple[Step, ...]


def fork(before: Life, after: Life) -> Fork:
    """Where two lives part. What a job is called does not count: it has another id as soon as anything differs."""
    count = 0
    for one, other in zip(before.steps, after.steps, strict=False):
        if _what(one) != _what(other):
            break
        count += 1
    return Fork(before.steps[:count], before.steps[count:], after.steps[count:])


def _what(step: Step) -> tuple[int, str, str, object]:
    job = step.about.rpartition(" ")[2]
    what = step.what.replace(job, "") if job else step.what
    return step.at, step.about.partition(" ")[0], what, step.verdicts
