"""What happened over time: figures by window, for plots, with the faults of each."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np

from simroom.stats.quantiles import quantiles
from simroom.stats.timeweighted import borders_of, by_window
from simroom.study.queues import STATES, jobs_in
from simroom.study.table import Table

WINDOWS: Final = 60
_P50_P95: Final = (Fraction(1, 2), Fraction(95, 100))


def series(table: Table, windows: int = WINDOWS) -> dict[str, Any]:
    """Figures of a run by windows of equal length, from time 0 to where it ended.

    Returns:
        ``borders_us``: where each window begins, and the last one's end, whole microseconds from time 0.
        ``utterances`` and ``deliveries``: how many ended and arrived in each. ``delivery_latency``: of the utterances
        that ended in each, ``p50_us`` and ``p95_us``, None where there are none. ``jobs``: time-weighted number in each
        state. ``faults``: each with the instants at which it began and ended, None where it had no end.
    """
    run = table.run
    zero = run.time_zero
    if run.ended_at <= zero:
        return {"schema_version": 1, "borders_us": []}
    borders = borders_of(zero, run.ended_at, windows)
    spoken = np.searchsorted(borders, table.utterances["ended_at"], side="right") - 1
    heard = np.searchsorted(borders, table.deliveries["arrived_at"], side="right") - 1
    count = len(borders) - 1
    every = table.mask("job", {})
    latencies = table.delivery_latency
    window_of = spoken[table.utterance_of_delivery]
    found = [quantiles(latencies[window_of == window], _P50_P95) for window in range(count)]
    return {
        "schema_version": 1,
        "borders_us": [int(border) - zero for border in borders],
        "utterances": [int((spoken == window).sum()) for window in range(count)],
        "deliveries": [int((heard == window).sum()) for window in range(count)],
        "delivery_latency": {
            "p50_us": [None if each is None else each[0] for each in found],
            "p95_us": [None if each is None else each[1] for each in found],
        },
        "jobs": {
            state: [None if each is None else round(float(each), 6) for each in by_window(steps, borders)]
            for state, steps in ((state, jobs_in(table, state, every)) for state in STATES)
        },
        "faults": [
            {
                "fault": use.label,
                "kind": use.kind,
                "fired": use.fired_count,
                "at_us": [instant - zero for instant in use.at],
                "until_us": [None if instant is None else instant - zero for instant in use.until],
            }
            for use in run.faults
        ],
    }
