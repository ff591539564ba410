"""Two runs compared by a hash each: who heard what, and what ran where; whenever it happened.

Names are put in order of the alphabet and numbered anew, so that the hashes depend on neither who was first nor how
long anything took. Two runs with the same luck and other timing have the same hash as long as the same was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from simroom.oracle.ledger import NONE, Column
from simroom.study.table import Table


def routing_hash(table: Table) -> str:
    """Hash of what reached whom: of each delivery its utterance, language and recipient; 32 hexadecimal digits.

    Recipients of one result count in order of their names, and twice if it reached them twice.
    """
    ledger = table.run.ledger
    job, recipient = table.deliveries["job"], table.deliveries["recipient"]
    recipients, heard_by = _numbered(ledger.sessions.names, recipient)
    return _hash(table, job, (recipients,), (heard_by,))


def decision_hash(table: Table) -> str:
    """Hash of what ran where: of each placed job its utterance, language, attempts and node; 32 hexadecimal digits.

    Of a job with several attempts the ledger has the node of the one that was answered, else of the last one.
    """
    node = table.jobs["node"]
    job = np.flatnonzero(node != NONE)
    nodes, placed_on = _numbered(table.run.ledger.nodes.names, node[job])
    return _hash(table, job, (nodes,), (table.jobs["attempts"][job], placed_on))


def _hash(table: Table, job: Column, more_names: Sequence[list[str]], more: Sequence[Column]) -> str:
    """Of rows that are about jobs: speaker, which of their utterances, language, and what is more."""
    ledger, utterance = table.run.ledger, table.jobs["utterance"][job]
    speakers, speaker = _numbered(ledger.sessions.names, table.utterances["speaker"][utterance])
    languages, language = _numbered(ledger.languages.names, table.jobs["tgt_lang"][job])
    columns = (
        speaker,
        _nth_of_their_speaker(table.utterances["speaker"])[utterance],
        table.utterances["utterance_index"][utterance],
        language,
        *more,
    )
    digest = blake2b(digest_size=16)
    for names in (speakers, languages, *more_names):
        # The length before each name: no two lists look the same.
        for name in (str(len(names)), *names):
            text = name.encode("utf-8", "surrogatepass")
            digest.update(len(text).to_bytes(4, "little") + text)
    order = np.lexsort(columns[::-1])
    for column in columns:
        digest.update(column[order].astype("<i8").tobytes())
    return digest.hexdigest()


def _numbered(names: list[str], numbers: Column) -> tuple[list[str], Column]:
    """The names that are used, in order of the alphabet, and the numbers in that order."""
    used = sorted(np.unique(numbers).tolist(), key=names.__getitem__)
    place = np.zeros(len(names), dtype=np.int64)
    place[used] = np.arange(len(used))
    return [names[number] for number in used], place[numbers]


def _nth_of_their_speaker(speaker: Column) -> Column:
    """For each utterance, how many of the same speaker are in rows above it.

    Indices alone would not do: a scheduler that was restarted lets them begin anew.
    """
    order = np.argsort(speaker, kind="stable")
    in_order = speaker[order]
    starts = np.flatnonzero(np.diff(in_order, prepend=NONE) != 0)
    lengths = np.diff(starts, append=len(in_order))
    nth = np.empty(len(speaker), dtype=np.int64)
    nth[order] = np.arange(len(speaker)) - np.repeat(starts, lengths)
    return nth
