"""Payload identity: every simulated payload carries a token that says whose speech it is and in which language."""

from __future__ import annotations

from typing import Final

SEPARATOR: Final = ">"


class Speech(str):
    """The audio of one utterance: its token, and where the ledger keeps what else is known of it.

    The text is the token: unique in the run and not to be guessed from ids, so that swapped or repeated payloads
    show even where every id field is right.

    Attributes:
        row: Row of the utterance in the ledger.
        duration: Length of the speech, whole microseconds.
        key: 64 random bits of this utterance, from which everything drawn about it is made.
    """

    __slots__ = ("duration", "key", "row")

    row: int
    duration: int
    key: int


def speech(token: str, row: int, duration: int, key: int) -> Speech:
    """Make the audio of an utterance."""
    audio = Speech(token)
    audio.row = row
    audio.duration = duration
    audio.key = key
    return audio


def translated(token: str, tgt_lang: str) -> str:
    """The payload that a correct node makes of the speech ``token`` for ``tgt_lang`` (as the job names it)."""
    return token + SEPARATOR + tgt_lang
