"""Playback in columns against the plain loop that it stands for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats import playback as module
from simroom.stats.playback import playback

deliveries = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60), st.integers(0, 15)), max_size=40)
Row = tuple[int, int, int]


def plainly(rows: list[Row]) -> tuple[list[int], list[int]]:
    """One result after the other, recipient by recipient, as one would do it by hand."""
    started = [0] * len(rows)
    queue = [0] * len(rows)
    for who in {row[0] for row in rows}:
        mine = sorted((row[1], place) for place, row in enumerate(rows) if row[0] == who)
        free_at = None
        begun: list[int] = []
        for arrived_at, place in mine:
            begin = arrived_at if free_at is None else max(arrived_at, free_at)
            free_at = begin + rows[place][2]
            begun.append(begin)
            started[place] = begin
            queue[place] = sum(at > arrived_at for at in begun)
    return started, queue


def columns(rows: list[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


@given(deliveries)
def test_columns_give_what_the_loop_gives(rows: list[Row]) -> None:
    got = playback(*columns(rows))
    assert (got.started_at.tolist(), got.queue.tolist()) == plainly(rows)


@given(deliveries.filter(bool), st.integers(10**15, 10**16))
def test_late_instants_and_cut_keys_change_nothing(rows: list[Row], later: int) -> None:
    recipient, arrived_at, length = columns(rows)
    whole = playback(recipient, arrived_at, length)
    shifted = playback(recipient * 10**14, arrived_at + later, length)
    assert (shifted.started_at - later).tolist() == whole.started_at.tolist()
    assert shifted.queue.tolist() == whole.queue.tolist()


def test_keys_that_would_leave_64_bits_are_worked_on_in_parts() -> None:
    # Two recipients a third of the number range apart in time: one band each would not fit beside the other.
    far = 1 << 61
    rows = [(0, 0, 5), (1, far, 5), (0, 1, 5), (1, far + 1, 5), (2, 7, 5), (2, 7, 5)]
    group = np.array([0, 0, 1, 1, 2, 2])
    assert len(module._parts(group, columns(rows)[1], columns(rows)[2])) == 3
    got = playback(*columns(rows))
    assert (got.started_at.tolist(), got.queue.tolist()) == plainly(rows)


def test_a_listener_falls_behind_by_the_playback_still_to_come() -> None:
    got = playback(*columns([(7, 0, 10), (7, 1, 10), (7, 2, 10), (7, 40, 10)]))
    assert got.started_at.tolist() == [0, 10, 20, 40]
    assert got.queue.tolist() == [0, 1, 2, 0]
    assert got.queue_max == 2


def test_nothing_delivered_is_no_queue() -> None:
    got = playback(*columns([]))
    assert got.queue_max is None
    assert len(got.started_at) == 0
