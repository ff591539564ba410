"""The scheduler is restarted: whatever it knew is gone, and the jobs that it had are lost."""

from __future__ import annotations

from itertools import chain

from simroom.oracle.accounts import Accounts
from simroom.oracle.clients import Clients
from simroom.oracle.debts import Debts
from simroom.oracle.ledger import JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.state import LIVING


class Restart:
    """Forgets all that a scheduler forgets that begins anew."""

    def __init__(self, mirror: Mirror, accounts: Accounts, clients: Clients, debts: Debts) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._clients = clients
        self._debts = debts

    def at(self, now: int) -> None:
        """Every connection has ended, every living job is lost; who comes is new, whoever it was before."""
        mirror = self._mirror
        tables = (mirror.running, mirror.aside, mirror.waiting)
        jobs = list(dict.fromkeys(chain.from_iterable(table.values() for table in tables)))
        for job in jobs:
            if job.end == LIVING:
                times = None if job.result is None else job.result.extra
                self._accounts.end(job, JobEnd.LOST, now, 0, times)
                mirror.lose(job)
        for job in jobs:
            # A lane and its jobs hold each other: nobody else would free them.
            job.lane.living.clear()
            job.lane.passed.clear()
        mirror.forget()
        self._clients.forget()
        self._debts.forget()
        self._accounts.begin_anew()
