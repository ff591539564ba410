"""The ledger's columns come in a stated order, however they were noted."""

import numpy as np
import pytest

from simroom.oracle.ledger import TIES_MAX, Ledger


@pytest.mark.parametrize("instants", [10, 5_000, 10**9], ids=["nearly all tied", "many tied", "few tied"])
def test_deliveries_are_in_order_of_arrival_then_job_then_recipient(instants: int) -> None:
    chance = np.random.default_rng(5)
    rows = np.column_stack([chance.integers(0, high, 4 * TIES_MAX) for high in (300, 50, instants)])
    ledger = Ledger()
    for job, recipient, arrived_at in rows.tolist():
        ledger.delivery(job, recipient, arrived_at)
    deliveries = ledger.deliveries()
    found = np.column_stack([deliveries[name] for name in ("arrived_at", "job", "recipient")]).tolist()
    assert found == sorted([arrived_at, job, recipient] for job, recipient, arrived_at in rows.tolist())


def test_a_run_that_ends_tells_nothing_of_later_arrivals() -> None:
    ledger = Ledger()
    for arrived_at in (7, 3, 9):
        ledger.delivery(0, 0, arrived_at)
    assert ledger.last_arrival_at() == 9
    ledger.end(7)
    assert ledger.deliveries()["arrived_at"].tolist() == [3, 7]
