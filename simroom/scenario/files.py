"""The data files that a scenario refers to: each read once while it is checked, and fingerprinted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from simroom.scenario.datafile import DataFileError, fingerprint
from simroom.scenario.fields import LONGEST_NAME
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.rttm import Segment, read_rttm, speakers_of
from simroom.scenario.traces import read_arrivals, read_loads

_SIMILAR_MAX: Final = 1_000
"""Files of a folder that are looked at for the one that was meant."""


class Files:
    """Files by their path as the scenario writes it, relative to ``base``."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._meetings: dict[str, list[Segment] | DataFileError] = {}
        self.fingerprints: dict[str, str] = {}

    def _meeting(self, reference: str) -> list[Segment]:
        known = self._meetings.get(reference)
        if known is None:
            try:
                known = read_rttm(self._base / reference)
                self._note(reference)
            except DataFileError as error:
                known = error
            self._meetings[reference] = known
        if isinstance(known, DataFileError):
            raise known
        return known

    def _note(self, reference: str) -> None:
        self.fingerprints[reference] = fingerprint(self._base / reference)

    def speakers(self, reference: str) -> tuple[str, ...]:
        """Who speaks in a meeting, in order of first speaking; raises DataFileError."""
        speakers = speakers_of(self._meeting(reference))
        for name in speakers:
            if len(name) > LONGEST_NAME:
                path = self._base / reference
                raise DataFileError(path, 0, f"the speaker {quoted(name)}", f"names of at most {LONGEST_NAME}")
        return speakers

    def end(self, reference: str) -> int:
        """When the last segment of a meeting ends, whole microseconds; raises DataFileError."""
        return max(segment.start + segment.duration for segment in self._meeting(reference))

    def arrivals(self, reference: str, column: str | None) -> None:
        """Check a trace of arrivals; raises DataFileError."""
        read_arrivals(self._base / reference, column)
        self._note(reference)

    def loads(self, reference: str) -> None:
        """Check a trace of loads; raises DataFileError."""
        read_loads(self._base / reference)
        self._note(reference)

    def similar(self, reference: str) -> str | None:
        """The file most like one that is not there, from the same folder; None where the file is there."""
        path = self._base / reference
        try:
            if path.exists() or not path.parent.is_dir():
                return None
            names = sorted(entry.name for _, entry in zip(range(_SIMILAR_MAX), path.parent.iterdir(), strict=False))
        except (OSError, ValueError):
            return None
        name = nearest(path.name, names)
        return None if name is None else (Path(reference).parent / name).as_posix()
