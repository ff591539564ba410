"""What an explanation and a dry run say, as plain values in a stated order, for ``--json``.

As in the summary: keys that end in ``_us`` are whole microseconds, instants count from the scenario's time 0, and None
is a value that does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simroom.oracle.verdict import INVARIANTS, Violation
from simroom.scheduler.selection import NodeVerdict
from simroom.study.dry_run import Answer, Job
from simroom.study.explain import Explanation
from simroom.study.life import Absence, JobLife, Life, Receipt, Step
from simroom.study.stay import Stay
from simroom.study.summary import SCHEMA_VERSION
from simroom.study.trail import Verdicts


def explanation(said: Explanation, *, time_zero: int, recorded_hash: str | None) -> dict[str, Any]:
    """An explanation.

    Args:
        said: What there is to say.
        time_zero: The scenario's time 0 on the engine's clock.
        recorded_hash: Trace hash of the run that was recorded; None: none was.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "seed": said.seed,
        "trace_hash": said.trace_hash,
        "recorded_trace_hash": recorded_hash,
        "halted": said.halted,
        "violation": None if said.violation is None else _violation(said.violation, time_zero),
        "utterance": None if said.life is None else _life(said.life),
        "member": None if said.stay is None else _stay(said.stay),
    }


def dry_run(answer: Answer, job: Job, seed: int) -> dict[str, Any]:
    """A dry run's answer."""
    return {
        "schema_version": SCHEMA_VERSION,
        "seed": seed,
        "at_us": job.at,
        "src_lang": answer.src_lang,
        "tgt_lang": answer.tgt_lang,
        "session": job.session,
        "room": job.room,
        "chosen": answer.chosen,
        "why": answer.why,
        "refusal": answer.refusal,
        "notes": list(answer.notes),
        "nodes": _nodes(answer.nodes),
    }


def _violation(violation: Violation, zero: int) -> dict[str, Any]:
    return {
        "invariant": violation.invariant,
        "name": INVARIANTS.get(violation.invariant),
        "kind": violation.kind,
        "at_us": violation.at - zero,
        "what": violation.what,
        "room": violation.room,
        "speaker": violation.speaker,
        "utterance_index": violation.utterance_index,
        "language": violation.language,
        "recipients": list(violation.recipients),
        "job_id": violation.job_id,
        "node": violation.node,
    }


def _life(life: Life) -> dict[str, Any]:
    return {
        "speaker": life.speaker,
        "utterance_index": life.utterance_index,
        "room": life.room,
        "src_lang": life.src_lang,
        "speech_started_at_us": life.started_at,
        "speech_ended_at_us": life.ended_at,
        "jobs": [_job(job) for job in life.jobs],
        "steps": _steps(life.steps),
        "delivery_count": life.receipt_count,
        "deliveries": [_receipt(receipt) for receipt in life.receipts],
        "not_delivered": [_absence(absence) for absence in life.absences],
        "notes": list(life.notes),
    }


def _job(job: JobLife) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "tgt_lang": job.language,
        "end": job.end,
        "attempts": job.attempts,
        "node": job.node,
        "answered_at_us": job.answered_at,
        "ended_at_us": job.ended_at,
    }


def _steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [
        {
            "at_us": step.at,
            "about": step.about or None,
            "what": step.what,
            "rule": step.rule,
            "wrong": step.wrong,
            "verdicts": None if step.verdicts is None else _verdicts(step.verdicts),
        }
        for step in steps
    ]


def _verdicts(verdicts: Verdicts) -> dict[str, Any]:
    return {
        "nodes": verdicts.nodes,
        "fit": verdicts.fit,
        "excluded": verdicts.reasons,
        "fewest_jobs": verdicts.fewest,
        "with_fewest_jobs": verdicts.tied_count,
        "first": _nodes(verdicts.shown),
    }


def _nodes(nodes: Sequence[NodeVerdict]) -> list[dict[str, Any]]:
    return [
        {
            "node": node.node_id,
            "status": node.status.value,
            "jobs": node.jobs,
            "slots": node.slots,
            "exclude_reason": None if node.exclude_reason is None else node.exclude_reason.value,
            "chosen": node.chosen,
        }
        for node in nodes
    ]


def _receipt(receipt: Receipt) -> dict[str, Any]:
    parts = receipt.parts
    return {
        "recipient": receipt.recipient,
        "tgt_lang": receipt.language,
        "job_id": receipt.job_id,
        "arrived_at_us": receipt.arrived_at,
        "delivery_latency_us": receipt.latency,
        "parts": None if parts is None else {f"{name}_us": value for name, value in parts.items()},
    }


def _absence(absence: Absence) -> dict[str, Any]:
    return {
        "name": absence.name,
        "tgt_lang": absence.language,
        "job_id": absence.job_id,
        "why": absence.why,
        "wrong": absence.wrong,
    }


def _stay(stay: Stay) -> dict[str, Any]:
    return {
        "name": stay.name,
        "at_us": stay.at,
        "in_session": stay.in_session,
        "connected": stay.connected,
        "preferred_lang": stay.lang,
        "room": stay.room,
        "room_size": stay.room_size,
        "others": [
            {"name": seat.name, "preferred_lang": seat.lang, "connected": seat.connected} for seat in stay.others
        ],
        "steps": _steps(stay.steps),
        "notes": list(stay.notes),
    }
