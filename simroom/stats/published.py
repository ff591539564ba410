"""Published figures that no closed form gives: simulations of others, with their standard errors, to compare with.

All for Poisson arrivals of ``load`` a node, exponential service of mean 1, ties uniform at random; times are means
over all jobs, from arrival to end.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

GAST: Final = "Gast, sizeExpansionMeanField; standard errors in rmf_tool"
MITZENMACHER: Final = "Mitzenmacher 2001, Table 1"
CHAIN: Final = "truncated Markov chain"
INDEPENDENT: Final = "independent program, standard error .1 to .3 %; shape: Mitzenmacher 2000"

Policy = Literal["shortest", "choices", "choices_without_replacement"]


class Figure(Struct, frozen=True):
    """A mean time in the system that somebody has published.

    Attributes:
        policy: ``shortest`` of all nodes, or the best of some random ``choices``.
        choices: How many random nodes are looked at; None of ``shortest``.
        nodes: Number of nodes.
        load: Load of a node, above 0 and below 1.
        report_interval: Time between reports of the nodes' loads, by which nodes are chosen; None where the loads are
            always known.
        time: Mean time in the system, in units of the mean service.
        error: Standard error as a share of ``time``; None where it is exact or not known.
        source: Whose figure it is.
    """

    policy: Policy
    choices: int | None
    nodes: int
    load: float
    report_interval: float | None
    time: float
    error: float | None
    source: str


def figures() -> list[Figure]:
    """All published figures, in a fixed order."""
    return [*_finite(), *_without_replacement(), *_shortest(), *_stale()]


def _finite() -> list[Figure]:
    """Choices drawn with replacement; published as jobs on a node, which Little's law turns into a time."""
    jobs = {
        (2, 0.7): (1.2193, 1.1737, 1.1471, 1.1387),
        (2, 0.9): (2.8003, 2.5662, 2.4350, 2.3931),
        (2, 0.95): (4.2993, 3.7124, 3.4002, 3.3066),
        (3, 0.9): (2.3143, 2.0517, 1.9106, 1.8672),
        (4, 0.95): (3.3268, 2.6376, 2.2787, 2.1732),
    }
    return [
        Figure("choices", choices, nodes, load, None, value / load, None, GAST)
        for (choices, load), values in jobs.items()
        for nodes, value in zip((10, 20, 50, 100), values, strict=True)
    ]


def _without_replacement() -> list[Figure]:
    times = {0.5: 1.2673, 0.7: 1.6202, 0.8: 1.9585, 0.9: 2.6454, 0.95: 3.4610}
    return [
        Figure("choices_without_replacement", 2, 100, load, None, time, None, MITZENMACHER)
        for load, time in times.items()
    ]


def _shortest() -> list[Figure]:
    """Exact but for where the chain was cut; ``choices.shortest_queue_time`` cuts no queue and is the better figure."""
    times = {
        (2, 0.5): 1.426321,
        (2, 0.7): 2.108197,
        (2, 0.8): 2.955737,
        (2, 0.9): 5.474913,
        (2, 0.95): 10.486071,  # cut at 120 jobs a node; without a cut it is 10.486639
        (3, 0.5): 1.244836,
        (3, 0.7): 1.708876,
        (3, 0.8): 2.285548,
    }
    return [Figure("shortest", None, nodes, load, None, time, None, CHAIN) for (nodes, load), time in times.items()]


def _stale() -> list[Figure]:
    """Nodes chosen by loads that all nodes report at once, every so often; a random choice gives 10."""
    shortest = {0.1: 1.552, 0.5: 2.813, 1.0: 4.014, 2.0: 6.109, 5.0: 12.08, 10.0: 23.31}
    two = {0.1: 2.685, 0.5: 2.815, 1.0: 2.966, 2.0: 3.251, 5.0: 4.006, 10.0: 5.099, 20.0: 7.081}
    return [
        *(Figure("shortest", None, 100, 0.9, every, time, 0.003, INDEPENDENT) for every, time in shortest.items()),
        *(Figure("choices", 2, 100, 0.9, every, time, 0.003, INDEPENDENT) for every, time in two.items()),
    ]
