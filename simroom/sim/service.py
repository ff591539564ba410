"""How long a job takes on a node: by stage from the length of the speech, or drawn whole, plus the cold start."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from math import log, sqrt
from typing import Final, TypeVar

from simroom.oracle.payload import Speech
from simroom.scenario.nodes import BatchService, NodeGroup, StagedService, WholeService
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import JobAssign
from simroom.sim.ties import rounded_up
from simroom.workload.distributions import TABLE_SHIFT, Sampler, lognormal, sampler_of, turned
from simroom.workload.streams import mix, mix_two, offset_of_two, stream_key

T = TypeVar("T")

_UNIT: Final = 1_000_000
"""Factors are drawn as whole millionths."""


class Work:
    """What jobs ask of a node's GPU, whole microseconds of undisturbed work.

    Everything drawn is keyed by the utterance, the language and the attempt: the same job asks the same of whichever
    node it is given to.
    """

    def __init__(self, group: NodeGroup) -> None:
        service = group.service
        self._whole: Sampler | None = None
        self._whole_table = array("q")
        self._whole_tail = 0
        self._stages: tuple[tuple[int, float, Sampler | None], ...] = ()
        self.batch_fixed = 0
        self.batch_per_job = 0
        self._batch_factor: Sampler | None = None
        if isinstance(service, WholeService):
            self._whole = sampler_of(service.span)
            self._whole_table = self._whole.table
            self._whole_tail = self._whole.tail_from
        elif isinstance(service, StagedService):
            stages = (service.asr, service.nmt, service.tts)
            self._stages = tuple((stage.fixed, stage.rtf, _factor(stage.spread)) for stage in stages)
        elif isinstance(service, BatchService):
            self.batch_fixed = service.fixed
            self.batch_per_job = service.per_job
            self._batch_factor = _factor(service.spread)
        self._cold = tuple(
            sampler_of(span) for span in (group.cold_start.asr, group.cold_start.nmt, group.cold_start.tts)
        )
        self._is_cold = any(sampler.mean > 0 for sampler in self._cold)
        self._offsets: dict[tuple[str, int], int] = {}

    def of(self, message: JobAssign, *, cold: bool) -> tuple[int, int, int]:
        """The work of one job: ASR, NMT, TTS. A service drawn whole counts as ASR.

        Args:
            message: The job; its audio says how long the speech is. Audio from elsewhere has no length.
            cold: It is the first one since the node started.
        """
        audio = message.audio
        language = message.tgt_lang
        attempt = message.attempt_id or 1
        if type(audio) is Speech:
            offset = self._offsets.get((language, attempt))
            if offset is None:
                offset = self._offsets[language, attempt] = offset_of_two(stream_key(0, language), attempt)
            bits = mix_two(audio.key, offset)
            whole = self._whole
            if whole is not None and not (cold and self._is_cold):
                place = bits >> TABLE_SHIFT  # as calling the sampler, written out for the many
                return self._whole_table[place] if place < self._whole_tail else whole.exact(bits), 0, 0
            duration = audio.duration
        else:
            bits = mix(stream_key(0, message.job_id), stream_key(0, language), attempt)
            duration = 0
        if self._whole is not None:
            asr, nmt, tts = self._whole(bits), 0, 0
        elif self._stages:
            asr, nmt, tts = (
                _stage(stage, duration, turned(bits, draws) if draws else bits)
                for draws, stage in enumerate(self._stages)
            )
        else:
            asr, nmt, tts = self.batch_per_job, 0, 0
        if cold and self._is_cold:
            bits = mix(bits, 1)
            asr += self._cold[0](bits)
            nmt += self._cold[1](turned(bits, 1))
            tts += self._cold[2](turned(bits, 2))
        return asr, nmt, tts

    def of_batch(self, messages: list[JobAssign], *, cold: bool) -> int:
        """The work of a whole batch; ``cold``: it is the first one since the node started."""
        work = self.batch_fixed + self.batch_per_job * len(messages)
        audio = messages[0].audio
        if self._batch_factor is not None and type(audio) is Speech:
            work = work * self._batch_factor(mix(audio.key, messages[0].attempt_id or 1)) // _UNIT
        if cold:
            work += sum(self.of(messages[0], cold=True)) - self.batch_per_job
        return work


class Exact:
    """What a script says of single utterances: how long nodes work on them, and whether they fail."""

    def __init__(self) -> None:
        self._service: dict[int, int | Mapping[str, int]] = {}
        self._fails: dict[int, str | Mapping[str, str]] = {}

    def note(self, key: int, service: int | Mapping[str, int] | None, fails: str | Mapping[str, str] | None) -> None:
        """Know what is said of one utterance.

        Args:
            key: The ``key`` of its payload.
            service: The whole service of each of its jobs, whole microseconds, for all or by target language; a
                language that is not there, or None, has the node's own.
            fails: The error code that the node answers with after its service; likewise, else it succeeds.
        """
        if service is not None:
            self._service[key] = service
        if fails is not None:
            self._fails[key] = fails

    def service_of(self, message: JobAssign, tags: Tags) -> int | None:
        """The service of a job, whole microseconds; None: nothing is said of it."""
        return _said(self._service, message, tags)

    def failure_of(self, message: JobAssign, tags: Tags) -> str | None:
        """The error code that a job ends with; None: it does not fail."""
        return _said(self._fails, message, tags)


def _said(of_utterances: Mapping[int, T | Mapping[str, T]], message: JobAssign, tags: Tags) -> T | None:
    """What is said of the job's utterance in its language; languages compare as everywhere."""
    audio = message.audio
    said = of_utterances.get(audio.key) if type(audio) is Speech else None
    if isinstance(said, Mapping):
        language = tags.canonical(message.tgt_lang)
        return next((value for key, value in said.items() if tags.canonical(key) == language), None)
    return said


class SetWork(Work):
    """Work that is said by a script, or put on a grid.

    Args:
        exact: What the script says; it is the whole service, cold starts included. None: there is no script.
        grid: Everything drawn is rounded up to it, stage by stage; a batch as a whole. None: it is not.
        tags: How languages compare.
    """

    def __init__(self, group: NodeGroup, exact: Exact | None, grid: int | None, tags: Tags) -> None:
        super().__init__(group)
        self._exact = exact
        self._grid = grid
        self._tags = tags

    def of(self, message: JobAssign, *, cold: bool) -> tuple[int, int, int]:
        """See ``Work.of``."""
        span = self._said(message)
        if span is not None:
            return span, 0, 0
        asr, nmt, tts = super().of(message, cold=cold)
        grid = self._grid
        if grid is None:
            return asr, nmt, tts
        return rounded_up(asr, grid), rounded_up(nmt, grid), rounded_up(tts, grid)

    def of_batch(self, messages: list[JobAssign], *, cold: bool) -> int:
        """See ``Work.of_batch``. A batch takes as long as the longest that is said of any job in it, or the others."""
        said = {place: span for place, message in enumerate(messages) if (span := self._said(message)) is not None}
        others = [message for place, message in enumerate(messages) if place not in said]
        work = super().of_batch(others, cold=cold) if others else 0
        return max([work if self._grid is None else rounded_up(work, self._grid), *said.values()])

    def _said(self, message: JobAssign) -> int | None:
        return None if self._exact is None else self._exact.service_of(message, self._tags)


def _factor(spread: float) -> Sampler | None:
    """A lognormal factor of mean 1 with this coefficient of variation, in millionths; None: always 1."""
    if spread == 0:
        return None
    variance = 1 + spread * spread
    return lognormal(_UNIT / sqrt(variance), sqrt(log(variance)))


def _stage(stage: tuple[int, float, Sampler | None], duration: int, bits: int) -> int:
    fixed, rtf, factor = stage
    work = fixed + rtf * duration
    return int(work) if factor is None else int(work * factor(bits)) // _UNIT
