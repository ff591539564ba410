"""Real meetings: from segments of speech to the utterances that a voice detector would send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from simroom.scenario.rttm import Segment
from simroom.workload.cutting import pieces

JOIN_GAP: Final = 500_000
"""Segments of one speaker at most this far apart are one utterance, microseconds. With it recordings annotated
word by word (AMI) and phrase by phrase (VoxConverse) become comparable."""


class Spoken(NamedTuple):
    """One utterance, or one piece of a cut one; instants in microseconds."""

    speaker: str
    started_at: int
    ended_at: int


def utterances_of(
    segments: Iterable[Segment],
    *,
    join_gap: int = JOIN_GAP,
    longest: int | None = None,
    begin: int = 0,
    end: int | None = None,
) -> list[Spoken]:
    """Make utterances of a recording's segments.

    Args:
        segments: In any order; they may overlap, one speaker's too. Those without duration are left out.
        join_gap: Segments of one speaker with no more than this between them are one utterance, microseconds.
        longest: Utterances are cut into pieces of this length; None: not cut.
        begin: Where in the recording to begin; an utterance that goes on then starts then. It becomes time 0.
        end: Where in the recording to stop; an utterance that goes on then ends then. None: at its end.

    Returns:
        The utterances in order of ``(ended_at, started_at, speaker)``, times counted from ``begin``. No two of one
        speaker overlap. Empty if nobody speaks between ``begin`` and ``end``.
    """
    utterances = []
    for speaker, started_at, ended_at in _joined(segments, join_gap):
        heard_from = max(started_at, begin)
        heard_until = ended_at if end is None else min(ended_at, end)
        if heard_from < heard_until:
            utterances += [
                Spoken(speaker, piece_from, piece_until)
                for piece_from, piece_until in pieces(heard_from - begin, heard_until - begin, longest)
            ]
    utterances.sort(key=lambda one: (one.ended_at, one.started_at, one.speaker))
    return utterances


def _joined(segments: Iterable[Segment], join_gap: int) -> list[Spoken]:
    """Segments of one speaker that touch or nearly do, as one."""
    joined: list[Spoken] = []
    for segment in sorted(segments, key=lambda one: (one.speaker, one.start, one.duration)):
        if segment.duration <= 0:
            continue
        ended_at = segment.start + segment.duration
        last = joined[-1] if joined else None
        if last and last.speaker == segment.speaker and segment.start - last.ended_at <= join_gap:
            joined[-1] = Spoken(last.speaker, last.started_at, max(last.ended_at, ended_at))
        else:
            joined.append(Spoken(segment.speaker, segment.start, ended_at))
    return joined
