"""Theory of choosing a node: the shortest of all queues exactly, the shortest of d random ones in the limit.

Poisson arrivals, exponential service of mean 1 at every node, arrivals of ``rho`` for each node, ties uniform at
random. Times follow by Little's law: mean time in the system = mean number of jobs on a node / rho.
"""

from __future__ import annotations

import math
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

_PHASES_MAX: Final = 1500
"""Solving takes time with the third power of this."""


def _check(rho: float) -> None:
    if not 0 < rho < 1:
        raise ValueError(f"the load of a node is above 0 and below 1, not {rho}")


# --- the shortest of d random queues ----------------------------------------------------------------------------


def _tail(choices: int, rho: float) -> list[float]:
    """Shares of nodes with at least 0, 1, 2, ... jobs in the limit of many nodes, as long as they matter."""
    if choices < 1:
        raise ValueError("a choice is among one node or more")
    _check(rho)
    shares, exponent = [1.0], 1
    while True:
        share = rho**exponent
        if share < 1e-18:
            return shares
        shares.append(share)
        exponent = choices * exponent + 1


def choices_jobs(choices: int, rho: float) -> float:
    """Mean number of jobs on a node, the one in service included, where each job picks the best of d random nodes.

    The limit of many nodes, ``sum of rho**((d**i - 1) / (d - 1))`` (Vvedenskaya, Dobrushin & Karpelevich 1996;
    Mitzenmacher 1996).

    Args:
        choices: d, 1 or more; 1 is M/M/1.
        rho: Load of a node, above 0 and below 1.

    Returns:
        The mean number; divided by ``rho`` it is the mean time in the system.

    Raises:
        ValueError: An argument is outside its range.
    """
    return math.fsum(_tail(choices, rho)[1:])


def choices_jobs_refined(choices: int, rho: float, nodes: int, *, replacement: bool = True) -> float:
    """The same for a finite number of nodes, to the order of 1 / nodes (Gast & Van Houdt 2017).

    The refined mean field: the limit, plus what the fluctuation of the shares of nodes adds through the curvature of
    the drift. Off by the order of 1 / nodes**2, so good from some 50 nodes on.

    Args:
        choices: d, 2 or more.
        rho: Load of a node, above 0 and below 1.
        nodes: How many nodes, at least d.
        replacement: Whether the same node may be drawn twice.

    Returns:
        The mean number of jobs on a node.

    Raises:
        ValueError: An argument is outside its range.
    """
    if choices < 2 or nodes < choices:
        raise ValueError("a choice is among two nodes or more, and among no more than there are")
    tail = _tail(choices, rho)
    size = len(tail) - 1
    x = np.array(tail[1:])
    before = np.array(tail[:-1])  # x[i-1] at i
    d = choices
    # Drift of x[i]: rho (x[i-1]**d - x[i]**d) - (x[i] - x[i+1]). Its derivative:
    slope = np.diag(-rho * d * x ** (d - 1) - 1) + np.diag(np.ones(size - 1), 1)
    slope += np.diag(rho * d * x[:-1] ** (d - 1), -1)
    # Jumps of x[i] up and down have the same rate at the fixed point; their sum is the noise.
    noise = np.diag(2 * (x - np.append(x[1:], 0.0)))
    # Covariance W of the fluctuations, from slope W + W slope' + noise = 0.
    unit = np.eye(size)
    covariance = np.linalg.solve(np.kron(slope, unit) + np.kron(unit, slope), -noise.ravel()).reshape(size, size)
    variance = np.diag(covariance)
    curvature = rho * d * (d - 1) * x ** (d - 2) * variance
    push = 0.5 * (np.append(0.0, curvature[:-1]) - curvature)
    if not replacement:
        # Drawn without replacement all d nodes have i jobs or more with the probability
        # x**d - d (d-1) / 2 (x**(d-1) - x**d) / nodes, to the first order.
        def lack(share: Matrix) -> Matrix:
            return d * (d - 1) / 2 * (share ** (d - 1) - share**d)

        push -= rho * (lack(before) - lack(x))
    shift = np.linalg.solve(slope, -push)
    return math.fsum(tail[1:]) + float(shift.sum()) / nodes


# --- the shortest of all queues ---------------------------------------------------------------------------------


def shortest_queue_time(nodes: int, rho: float, *, width: int | None = None) -> float:
    """Exact mean time in the system where every job joins the shortest queue.

    The state is the length of the shortest queue and how much longer the others are, in ascending order. Shortest
    queues of any length are solved for at once (a quasi-birth-death process, by the logarithmic reduction of Latouche
    & Ramaswami 1993); only differences above ``width``, which hardly ever occur, are cut off: a job that would widen
    one further stays where it is for the moment.

    Args:
        nodes: 2..4.
        rho: Load of a node, above 0 and below 1.
        width: Largest difference taken into account, 2 or more; None: 40, 16 or 10 for 2, 3 or 4 nodes, which up
            to a load of .95 leaves an error below 1e-8 of the time with two or three, and 1e-5 with four.

    Returns:
        The mean time, in units of the mean service.

    Raises:
        ValueError: An argument is outside its range.
    """
    _check(rho)
    if not 2 <= nodes <= 4:
        raise ValueError("the exact solution is for 2 to 4 nodes")
    reach = {2: 40, 3: 16, 4: 10}[nodes] if width is None else width
    if reach < 2:
        raise ValueError("queues differ by 2 and more")
    phases = list(combinations_with_replacement(range(reach + 1), nodes - 1))
    if len(phases) > _PHASES_MAX:
        raise ValueError(f"a width of {reach} makes {len(phases)} states a level, more than {_PHASES_MAX}")
    up, within, down, first = _blocks(nodes, rho, reach, phases)
    rate = _rate_matrix(up, within, down)
    return _mean_jobs(rate, first, down, phases, nodes) / (nodes * rho)


def _blocks(nodes: int, rho: float, reach: int, phases: list[tuple[int, ...]]) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Rates up a level, within it, and down; and within the lowest level, where empty queues serve nobody."""
    place = {phase: number for number, phase in enumerate(phases)}
    size = len(phases)
    up, within, down, first = (np.zeros((size, size)) for _ in range(4))
    for phase, row in place.items():
        ties = 1 + phase.count(0)  # queues that are as short as the shortest
        # An arrival makes one of the shortest longer: the level rises where it was alone.
        if ties > 1:
            longer = tuple(sorted((*phase[1:], 1)))
            for block in (within, first):
                block[row, place[longer]] += nodes * rho
        else:
            up[row, place[tuple(value - 1 for value in phase)]] += nodes * rho
        # One of the shortest loses a job: the level falls, and all others are one longer than it.
        wider = tuple(value + 1 for value in phase)
        if wider[-1] <= reach:
            down[row, place[wider]] += ties
        # A longer one loses a job.
        for position, value in enumerate(phase):
            if value:
                shorter = tuple(sorted((*phase[:position], value - 1, *phase[position + 1 :])))
                for block in (within, first):
                    block[row, place[shorter]] += 1
    for row in range(size):
        first[row, row] -= first[row].sum() + up[row].sum()
        within[row, row] -= within[row].sum() + up[row].sum() + down[row].sum()
    return up, within, down, first


def _rate_matrix(up: Matrix, within: Matrix, down: Matrix) -> Matrix:
    """R of the matrix-geometric solution: the stationary vector of a level is that of the level below times R."""
    unit = np.eye(len(up))
    inverse = np.linalg.inv(-within)
    rise, fall = inverse @ up, inverse @ down
    first_passage, path = fall.copy(), rise.copy()
    for _ in range(64):
        both = np.linalg.inv(unit - rise @ fall - fall @ rise)
        rise, fall = both @ rise @ rise, both @ fall @ fall
        first_passage = first_passage + path @ fall
        path = path @ rise
        if np.abs(1 - first_passage.sum(axis=1)).max() < 1e-14 or np.abs(path).max() < 1e-16:
            break
    return up @ np.linalg.inv(-(within + up @ first_passage))


def _mean_jobs(rate: Matrix, first: Matrix, down: Matrix, phases: list[tuple[int, ...]], nodes: int) -> float:
    """Mean number of jobs from the stationary vector of the lowest level."""
    unit = np.eye(len(rate))
    beyond = np.linalg.inv(unit - rate)
    # The lowest level in balance with what comes down from the one above; one equation is replaced by the total.
    balance = (first + rate @ down).T
    balance[0] = beyond.sum(axis=1)
    right = np.zeros(len(rate))
    right[0] = 1.0
    lowest = np.linalg.solve(balance, right)
    # Level k holds lowest R**k: the levels sum to lowest (1 - R)**-1, and k times them to lowest R (1 - R)**-2.
    in_phase = lowest @ beyond
    mean_level = float((in_phase @ rate @ beyond).sum())
    surplus = np.array([sum(phase) for phase in phases], dtype=np.float64)
    return nodes * mean_level + float(in_phase @ surplus)
