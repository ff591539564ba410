"""Schedulers that are broken on purpose, each in one way, to prove that the oracle notices."""

from simroom.bugbank.bank import BUGS, CANARY, Bug

__all__ = ["BUGS", "CANARY", "Bug"]
