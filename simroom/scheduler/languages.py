"""Language tags: one canonical spelling each, so that equal languages are equal strings."""

from __future__ import annotations

from typing import Final

AUTO: Final = "auto"
_CACHE_MAX: Final = 4_096  # clients choose the tags: the cache must not grow with what they send


def canonical_tag(tag: str) -> str:
    """Spell a BCP 47 tag as RFC 5646 §2.1.1 recommends: ``ZH-hans-cn`` → ``zh-Hans-CN``.

    Tags compare without regard to case, so the canonical spelling decides equality. What is not a tag is spelled by
    the same rule; it equals nothing but itself.
    """
    first, *rest = tag.split("-")
    parts = [first.lower()]
    after_singleton = len(first) == 1
    for part in rest:
        if len(part) == 4 and part.isalpha() and not after_singleton:
            parts.append(part.title())
        elif len(part) == 2 and not after_singleton:
            parts.append(part.upper())
        else:
            parts.append(part.lower())
        after_singleton = after_singleton or len(part) == 1
    return "-".join(parts)


class Tags:
    """Canonical tags under one rule of comparison, remembered."""

    def __init__(self, *, primary_only: bool) -> None:
        self._primary_only = primary_only
        self._known: dict[str, str] = {}

    def canonical(self, tag: str) -> str:
        """The canonical form of ``tag``; with ``primary_only`` its primary subtag alone."""
        known = self._known.get(tag)
        if known is None:
            if len(self._known) >= _CACHE_MAX:
                self._known.clear()
            known = canonical_tag(tag)
            if self._primary_only:
                known = known.partition("-")[0]
            self._known[tag] = known
        return known

    def optional(self, tag: str | None) -> str | None:
        """The canonical form, None for an absent or empty tag."""
        return self.canonical(tag) if tag else None
