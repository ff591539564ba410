"""Cut long utterances as a voice detector does."""

from __future__ import annotations


def pieces(started_at: int, ended_at: int, longest: int | None) -> list[tuple[int, int]]:
    """The pieces in which an utterance goes out, in order, without gaps.

    A detector cannot know how long somebody will go on: each piece is ``longest`` but the last, which is what is
    left, however short.

    Args:
        started_at: Microseconds.
        ended_at: Microseconds, after ``started_at``.
        longest: Longest piece, microseconds above 0; None: no cut.

    Returns:
        ``(started_at, ended_at)`` of each piece, at least one.
    """
    if longest is None:
        return [(started_at, ended_at)]
    return [(begun, min(begun + longest, ended_at)) for begun in range(started_at, ended_at, longest)]
