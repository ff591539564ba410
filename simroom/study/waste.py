"""Work of nodes that came to nothing, by why."""

from __future__ import annotations

import numpy as np

from simroom.oracle.ledger import NONE, JobEnd
from simroom.study.table import Mask, Table


def wasted(table: Table, cause: str, chosen: Mask) -> int:
    """Service that came to nothing for one cause, whole microseconds, over the whole run.

    Args:
        table: The run.
        cause: Of ``CAUSES``.
        chosen: Which jobs; ``repeated`` and ``lost`` are of the whole run, whatever is chosen.
    """
    run = table.run
    if cause == "repeated":
        return run.verdict.uncounted_time
    if cause == "lost":
        return sum(node.wasted_work for node in run.nodes)
    jobs = table.jobs
    served = chosen & (jobs["asr_time"] != NONE)
    end = jobs["end"]
    if cause == "nobody_left":
        served = served & (end == JobEnd.NO_RECIPIENT)
    elif cause == "too_late":
        served = served & (end == JobEnd.DROPPED_LATE)
    else:
        heard = np.zeros(len(end), dtype=np.bool_)
        heard[table.deliveries["job"]] = True
        served = served & (end == JobEnd.DELIVERED) & ~heard
    return int((jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"])[served].sum())
