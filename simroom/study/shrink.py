"""Cutting a failing scenario down to what its failure needs, by trying smaller ones.

Whole kinds of faults go first, then single operations, people, nodes and settings; what is left is made plainer:
round times, few languages, short names. Every step is kept only if the failure is still there, so nothing is assumed
about why it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Final

from msgspec import Struct

from simroom.study import cuts, plainer, renaming
from simroom.study.drawing import text_of, tidied
from simroom.study.places import Place, at, there, without

Data = dict[str, Any]

TRIES_MAX: Final = 2_000
ROUNDS_MAX: Final = 12
"""All ways of cutting are gone through so often at most; usually the fourth time finds nothing more."""
_SEEDS: Final = 8
"""So many other seeds are tried where names decide about chance."""


class Shrunk(Struct, frozen=True):
    """The smallest scenario found so far that still fails.

    Attributes:
        tries: Scenarios tried for it.
        operations: What is still done in it, as counted by ``operations``.
        complete: No way of cutting is left; False: the tries came to their end, or it is still going on.
    """

    data: Data
    tries: int
    operations: int
    complete: bool


class _SpentError(Exception):
    """All tries are used up."""


def operations(data: Data) -> int:
    """What is done in a scenario: lines of scripts, faults, events of people, comings and goings of nodes."""
    return len(cuts.operations(data))


def shrunk(data: Data, failing: Callable[[Data], bool], *, tries_max: int = TRIES_MAX) -> Shrunk:
    """Cut a failing scenario down.

    Args:
        data: The scenario; it is left as it is.
        failing: Whether a scenario still fails in the same way. Must say False of what is no valid scenario, and the
            same whenever it is asked about the same one.
        tries_max: How many scenarios may be tried.

    Returns:
        The smallest one found; ``data`` itself (tidied) where nothing can be left out.
    """
    return list(shrinking(data, failing, tries_max=tries_max))[-1]


def shrinking(data: Data, failing: Callable[[Data], bool], *, tries_max: int = TRIES_MAX) -> Iterator[Shrunk]:
    """As ``shrunk``, and tell every smaller one on the way; the last one told is the result."""
    search = Search(tidied(data), failing, tries_max)
    complete = False
    try:
        for _ in range(ROUNDS_MAX):
            before = search.best
            for step in _STEPS:
                at_step = search.best
                step(search)
                if search.best is not at_step:
                    yield search.word(complete=False)
            if search.best is before:
                complete = True
                break
    except _SpentError:
        pass
    yield search.word(complete=complete)


class Search:
    """The smallest failing scenario so far, and the tries that are left.

    Attributes:
        best: That scenario.
        tries: Scenarios tried so far.
    """

    def __init__(self, data: Data, failing: Callable[[Data], bool], tries_max: int) -> None:
        self.best = data
        self.tries = 0
        self._failing = failing
        self._tries_max = tries_max
        self._known = {text_of(data)}

    def word(self, *, complete: bool) -> Shrunk:
        """Where the search is."""
        return Shrunk(deepcopy(self.best), self.tries, operations(self.best), complete)

    def attempt(self, candidate: Data | None) -> bool:
        """Take a scenario if it still fails; one that was tried before is not tried again.

        Args:
            candidate: None: there is nothing to try.
        """
        if candidate is None:
            return False
        if "script" in self.best and not candidate.get("script"):
            candidate = cuts.with_silence(candidate)
        text = text_of(candidate)
        if text in self._known:
            return False
        if self.tries >= self._tries_max:
            raise _SpentError
        self._known.add(text)
        self.tries += 1
        if not self._failing(candidate):
            return False
        self.best = tidied(candidate)
        return True

    def first_of(self, candidates: Iterator[Data | None]) -> bool:
        """Take the first of several that still fails."""
        return any(self.attempt(candidate) for candidate in candidates)

    def cut(self, places: Sequence[Place], cutting: Callable[[Data, list[Place]], Data] = without) -> None:
        """Delta debugging: leave out as many of these places as possible, large parts first.

        Args:
            places: Places in the best scenario.
            cutting: Makes a copy of a scenario without some of them.
        """
        whole, left = self.best, list(places)
        gone: list[Place] = []
        size = len(left)
        while size > 0:
            end = len(left)
            while end > 0:
                begin = max(0, end - size)
                part = left[begin:end]
                if self.attempt(cutting(whole, [*gone, *part])):
                    gone += part
                    del left[begin:end]
                end = begin
            size = min(size // 2, len(left))


# --- the steps, in their order -----------------------------------------------------------------------------------


def _kinds(search: Search) -> None:
    """Leave out whole kinds of faults, of events and of lines."""
    for kind in cuts.kinds(search.best):
        places = [place for place in cuts.operations(search.best) if cuts.kind_at(search.best, place) == kind]
        search.attempt(cuts.without_operations(search.best, places))


def _operations(search: Search) -> None:
    search.cut(cuts.operations(search.best), cuts.without_operations)


def _parties(search: Search) -> None:
    """Leave out rooms, sessions, nodes and members, those that come last first."""
    search.attempt(cuts.with_single_ones(search.best))
    for section in ("rooms", "sessions", "nodes"):
        for position in reversed(range(len(search.best.get(section) or ()))):
            search.attempt(cuts.without_group(search.best, section, position))
    for room in range(len(search.best.get("rooms") or ())):
        for position in reversed(range(len(search.best["rooms"][room].get("members") or ()))):
            search.attempt(cuts.without_member(search.best, room, position))


def _failures(search: Search) -> None:
    """Jobs that fail because it is written, for jobs that fail by chance."""
    search.first_of(cuts.with_written_failures(search.best))


def _constants(search: Search) -> None:
    """Plain nodes, and plain spans for distributions."""
    for candidate in cuts.plain_nodes(search.best):
        search.attempt(candidate)
    for place in plainer.distributions(search.best):
        if there(search.best, place):
            search.first_of(plainer.constants_at(search.best, place))


def _keys(search: Search) -> None:
    """Leave out keys, so that defaults hold: whole sections first, then the settings, then each."""
    for section in ("network", "scheduler", "playback"):
        if section in search.best:
            search.attempt(without(search.best, [(section,)]))
    search.cut([("scheduler", key) for key in search.best.get("scheduler") or ()])
    for place in cuts.optional_keys(search.best):
        if there(search.best, place):
            search.attempt(without(search.best, [place]))


def _items(search: Search) -> None:
    """Leave out items of lists that are no operations: models, messages, pairs, targets."""
    for place in cuts.plain_lists(search.best):
        if there(search.best, place):
            search.cut([(*place, position) for position in range(len(at(search.best, place)))])


def _values(search: Search) -> None:
    """Make single values plainer: names for random choices, small numbers, round times."""
    for place in plainer.targets(search.best):
        if there(search.best, place):
            search.first_of(plainer.named_targets_at(search.best, place))
    for place in plainer.values(search.best):
        if there(search.best, place):
            search.first_of(plainer.values_at(search.best, place))


def _times(search: Search) -> None:
    """Bring what happens closer together and on round times."""
    search.first_of(plainer.rounded_instants(search.best))
    for gap in reversed(range(len(plainer.instants(search.best)))):
        if gap < len(plainer.instants(search.best)):
            search.first_of(plainer.narrowed(search.best, gap))
    for place in plainer.instant_places(search.best):
        if there(search.best, place):
            search.first_of(plainer.instants_at(search.best, place))


def _languages(search: Search) -> None:
    """Fewer languages, then the usual ones."""
    for one in reversed(renaming.languages(search.best)):
        search.first_of(
            renaming.with_languages(search.best, {one: other})
            for other in renaming.languages(search.best)
            if other != one
        )
    search.attempt(renaming.with_usual_languages(search.best))


def _names(search: Search) -> None:
    """Short names. They decide about chance, so where they matter another seed may do."""
    search.attempt(renaming.with_short_names(search.best))
    search.first_of(
        {**renaming.with_short_names(search.best), "seed": seed}
        for seed in range(1, _SEEDS + 1)
        if text_of(renaming.with_short_names(search.best)) != text_of(search.best)
    )


def _forms(search: Search) -> None:
    """The usual form of everything: short where it can be, in the order of time, spans in their usual unit."""
    search.attempt(cuts.with_short_forms(search.best))
    search.attempt(plainer.with_usual_spans(search.best))
    search.attempt(plainer.in_order_of_time(search.best))


_STEPS: Final[tuple[Callable[[Search], None], ...]] = (
    _kinds,
    _operations,
    _parties,
    _failures,
    _constants,
    _keys,
    _items,
    _values,
    _times,
    _languages,
    _names,
    _forms,
)
