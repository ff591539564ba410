"""Language tags in one spelling, so that two that mean the same compare equal."""

from __future__ import annotations

from typing import Final

AUTO: Final = "auto"
"""A source language that the node is to find out; nobody's own language."""

_KNOWN_MAX: Final = 4_096
"""Spellings remembered; what sessions may send is unbounded, so the memory of it must not be."""


class Tags:
    """Canonical BCP 47 tags by spelling.

    Args:
        primary: Keep only the primary subtag, so that ``zh`` and ``zh-CN`` are one.
    """

    def __init__(self, *, primary: bool) -> None:
        self._primary = primary
        self._known: dict[str, str] = {}

    def of(self, tag: str) -> str:
        """The canonical form of ``tag``."""
        canonical = self._known.get(tag)
        if canonical is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            canonical = self._known[tag] = self._canonical(tag)
        return canonical

    def some(self, tag: str | None) -> str | None:
        """The canonical form of the language somebody has; None: none, and ``auto`` is nobody's."""
        if not tag:
            return None
        canonical = self.of(tag)
        return None if canonical == AUTO else canonical

    def _canonical(self, tag: str) -> str:
        subtags = tag.lower().split("-")
        if self._primary:
            return subtags[0]
        after_singleton = False
        for position in range(1, len(subtags)):
            subtag = subtags[position]
            if after_singleton:
                continue
            if len(subtag) == 1:
                after_singleton = True
            elif len(subtag) == 2:
                subtags[position] = subtag.upper()
            elif len(subtag) == 4:
                subtags[position] = subtag.capitalize()
        return "-".join(subtags)
