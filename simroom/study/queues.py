"""How many jobs wait, are on a node, or are held, over time; what was asked of nodes; and how evenly it was given.

A job's time in the system is cut at the instants that the ledger has: accepted by the scheduler, given to the node
whose answer counted, answered, ended. What had not come to such an instant by the end of the run is still before it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from simroom.oracle.ledger import NONE, Column, JobEnd
from simroom.stats.fairness import group_means, jain_index
from simroom.stats.timeweighted import Steps, largest, mean, present, steps
from simroom.study.table import Mask, Table

STATES: Final = {
    "in_system": ("received", "ended"),
    "waiting": ("received", "dispatched"),
    "in_flight": ("dispatched", "answered"),
    "held": ("answered", "ended"),
}
"""What a job is in, from which instant to which."""


def borders(table: Table) -> dict[str, Column]:
    """The instants at which each job changes its state, ascending; those that never came are after the end."""
    after = table.run.ended_at + 1
    jobs = table.jobs
    received = table.utterances["received_at"][jobs["utterance"]]
    ended = np.where((jobs["end"] == JobEnd.LIVING) | (jobs["ended_at"] == NONE), after, jobs["ended_at"])
    answered = np.where(jobs["answered_at"] == NONE, ended, jobs["answered_at"])
    answered = np.minimum(answered, ended)
    dispatched = np.where(jobs["dispatched_at"] == NONE, answered, jobs["dispatched_at"])
    dispatched = np.minimum(dispatched, answered)
    received = np.where(received == NONE, dispatched, np.minimum(received, dispatched))
    return {"received": received, "dispatched": dispatched, "answered": answered, "ended": ended}


def jobs_in(table: Table, state: str, chosen: Mask) -> Steps:
    """The number of chosen jobs in a state, over time."""
    begin, end = (borders(table)[name][chosen] for name in STATES[state])
    return present(begin, end)


def mean_and_most(table: Table, state: str, chosen: Mask) -> tuple[Fraction | None, int | None]:
    """Time-weighted mean, and the most at once, over the measured window; None without a window."""
    begin, end = table.window
    if end <= begin:
        return None, None
    found = jobs_in(table, state, chosen)
    return mean(found, begin, end), largest(found, begin, end)


def offered_load(table: Table, chosen: Mask) -> Fraction | None:
    """Service asked for by the jobs accepted in the window, over its length, erlangs; None without a window.

    Of jobs that were never answered the service is not known: they count with the mean of those that were.
    """
    begin, end = table.window
    jobs = table.jobs
    received = table.utterances["received_at"][jobs["utterance"]]
    within = chosen & (received >= begin) & (received < end)
    if end <= begin:
        return None
    known = within & (jobs["asr_time"] != NONE)
    count = int(known.sum())
    if count == 0:
        return None if within.any() else Fraction(0)
    service = int((jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"])[known].sum())
    return Fraction(service * int(within.sum()), count * (end - begin))


def blocked_times(table: Table) -> Column:
    """For each speaker with a job in the window: how long a result of theirs was held behind an older one.

    Times at which several were held count once.
    """
    jobs = table.jobs
    begin, end = table.window
    instants = borders(table)
    held_from = np.maximum(instants["answered"], begin)
    held_to = np.minimum(instants["ended"], end)
    speakers = table.utterances["speaker"][jobs["utterance"]]
    measured = table.measured("job")
    found = []
    for speaker in np.unique(speakers[measured]).tolist():
        own = measured & (speakers == speaker) & (held_to > held_from)
        blocked = 0
        if own.any():
            changes = np.concatenate((np.ones(own.sum(), dtype=np.int64), np.full(own.sum(), -1)))
            level = steps(np.concatenate((held_from[own], held_to[own])), changes)
            spans = np.diff(level.instants)
            blocked = int(spans[np.asarray(level.levels)[:-1] > 0].sum())
        found.append(blocked)
    return np.array(found, dtype=np.int64)


def fairness(table: Table, by: str, chosen: Mask) -> Fraction | None:
    """Jain's index of the mean delivery latencies of rooms or of languages; None where there are no deliveries.

    Args:
        table: The run.
        by: ``rooms`` or ``languages``.
        chosen: Which deliveries.
    """
    if by == "rooms":
        group = table.utterances["room"][table.utterance_of_delivery]
        chosen = chosen & (group != NONE)
    else:
        group = table.jobs["tgt_lang"][table.deliveries["job"]]
    means = group_means(group[chosen], table.delivery_latency[chosen])
    return jain_index([max(Fraction(0), each) for each in means.values()])
