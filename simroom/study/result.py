"""A finished run as programs want it: the verdict, what was found, any figure by its name, and the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from simroom.oracle.verdict import Violation
from simroom.scenario.units import UnfitError
from simroom.study import fingerprints
from simroom.study.amounts import amount, exact
from simroom.study.conclusion import Word
from simroom.study.expect import Expectation, read
from simroom.study.folder import folder_name
from simroom.study.record import Record, write_record
from simroom.study.reported import in_base_units
from simroom.study.routes import Route, routes
from simroom.study.rows import RowsFormat
from simroom.study.summary import summary
from simroom.study.table import UnknownTagError

_BOUNDS: Final = ("0", "0s", "0%", "0/s")
"""A bound in each unit, to read a figure as expectations are read."""


class Expected(Struct, frozen=True):
    """An expectation and what became of it.

    Attributes:
        text: As it stands in the scenario.
        line: Line of the file, from 1; None: it stands in none.
        passed: Whether it holds.
        value: What was measured: seconds, a share of 1, a count, a ratio or per second; None: nothing was.
        unit: ``time``, ``share``, ``count``, ``ratio`` or ``rate``.
        reason: Why it fails, where that is more than the value; else None.
    """

    text: str
    line: int | None
    passed: bool
    value: float | None
    unit: str
    reason: str | None

    def __str__(self) -> str:
        """It in a line."""
        shown = amount if self.passed else exact
        found = self.reason or f"is {shown(self.value, self.unit)}"  # type: ignore[arg-type]  # one of the units
        return f"{'holds' if self.passed else 'does not hold'}: {self.text}: {found}"


class Result:
    """A finished run.

    Attributes:
        verdict: ``passed``, ``failed`` or ``inconclusive`` (nothing happened that could be judged).
        reasons: Why it is not ``passed``, most important first; empty if it is.
        warnings: What must not be overlooked, whatever the verdict.
        expectations: Each, in the order of the scenario.
        violations: The first ones that the oracle found, in order of time.
        violation_count: How many there are.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        conclusion, run = record.conclusion, record.table.run
        self.verdict: Word = conclusion.word
        self.reasons: tuple[str, ...] = conclusion.reasons
        self.warnings: tuple[str, ...] = conclusion.warnings
        self.violations: tuple[Violation, ...] = run.verdict.violations
        self.violation_count: int = run.verdict.violation_count
        self.expectations: tuple[Expected, ...] = tuple(
            Expected(
                text=one.expectation.text,
                line=one.expectation.line,
                passed=one.passed,
                value=in_base_units(one.value, one.expectation.unit),
                unit=one.expectation.unit,
                reason=one.reason,
            )
            for one in conclusion.outcomes
        )

    def __repr__(self) -> str:
        """The verdict, the scenario and the seed."""
        return f"<simroom.Result: {self.verdict}, {self._record.source.name or self._record.source.file}, {self.seed}>"

    @property
    def passed(self) -> bool:
        """Whether no invariant was breached and every expectation holds."""
        return self.verdict == "passed"

    @property
    def seed(self) -> int:
        """Where its chance came from."""
        return self._record.table.run.seed

    @property
    def scenario_hash(self) -> str:
        """Hash of the effective scenario; equal hashes: the same scenario."""
        return self._record.source.hash

    @property
    def trace_hash(self) -> str:
        """Hash of everything that happened; equal hashes: the same run."""
        return self._record.table.run.trace_hash

    @property
    def routing_hash(self) -> str:
        """Hash of what reached whom, whenever it did."""
        return fingerprints.routing_hash(self._record.table)

    @property
    def decision_hash(self) -> str:
        """Hash of what ran where, whenever it did."""
        return fingerprints.decision_hash(self._record.table)

    def value(self, figure: str) -> float | None:
        """A figure by the name that expectations use, such as ``delivery_latency{language=ja}.p95`` or ``jobs``.

        Returns:
            Seconds, a share of 1, a count, a ratio or per second; None where there is nothing to measure.

        Raises:
            ValueError: There is no such figure.
            LookupError: The figure selects something that this run does not have.
        """
        asked = _asked(figure)
        try:
            found = asked.measure.compute(self._record.table, asked.tags)[asked.stat]
        except UnknownTagError as error:
            known = ", ".join(error.known) or "none"
            raise LookupError(f"this run has no {error.tag} {error.value!r}; it has {known}") from error
        return in_base_units(found, asked.unit)

    def jobs(self) -> tuple[Route, ...]:
        """Every job, in order of acceptance: where it ran, how it ended, whom its result reached and when."""
        return tuple(routes(self._record.table))

    def summary(self) -> Mapping[str, Any]:
        """The content of ``summary.json``."""
        return summary(self._record.table, self._record.conclusion, self._record.source)

    def save(self, parent: str | Path = "reports", *, rows: RowsFormat = "csv") -> Path:
        """Write the run folder, whole or not at all, as ``simroom run`` does; returns where it is.

        Args:
            parent: Where run folders go.
            rows: How the rows of deliveries are written.

        Raises:
            FolderError: It cannot be written, or something that simroom did not make is in its place.
        """
        name = folder_name(self._record.source.stem, self.seed)
        write_record(self._record, Path(parent), name, rows=rows, log=lambda: f"{self.told}\n")
        return Path(parent) / name

    @property
    def told(self) -> str:
        """What it comes to, in some lines: the verdict, why, and every expectation."""
        lines = [f"{self.verdict.upper()}  {self._record.source.name or self._record.source.file} · seed {self.seed}"]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [f"  {one.invariant}: {one.what}" for one in self.violations[:5]]
        lines += [f"  {one}" for one in self.expectations]
        return "\n".join(lines)


def _asked(figure: str) -> Expectation:
    """A figure, read as in an expectation."""
    first: UnfitError | None = None
    for bound in _BOUNDS:
        try:
            return read(f"{figure} == {bound}")
        except UnfitError as error:
            first = first or error
    assert first is not None
    meant = f"; did you mean {first.hint}?" if first.hint else ""
    raise ValueError(f"{figure!r} is no figure: found {first.found}, expected {first.expected}{meant}")
