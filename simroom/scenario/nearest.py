"""The nearest valid word to one that was mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import Final

_LONGEST: Final = 80
"""Longer words are not compared: matching is quadratic, and nobody mistypes that much."""
_ALIKE: Final = 0.65
"""Similarity from which a word may have been meant: `poison` for `poisson`, not `leave` for `every`."""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that is most like ``word``, whatever the case; None where none is like it.

    Ties go to the one that comes first.
    """
    if len(word) > _LONGEST:
        return None
    known = list(words)
    folded = _folded(word)
    for candidate in known:
        if _folded(candidate) == folded:
            return candidate
    by_folded = {_folded(candidate): candidate for candidate in reversed(known)}
    close = get_close_matches(folded, by_folded, n=1, cutoff=_ALIKE)
    if close:
        return by_folded[close[0]]
    for candidate in known:
        if len(folded) >= 3 and (
            candidate.startswith(folded) or SequenceMatcher(None, folded, candidate).ratio() > 0.6
        ):
            return candidate
    return None


def _folded(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")
