"""GPU nodes: how fast they are, what slows them, what they report, and when they come and go."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_serializer,
    model_validator,
)

from simroom.scenario.distributions import DISTRIBUTION_KINDS, Distribution, OptionalDistribution, constant
from simroom.scenario.fields import (
    Count,
    Duration,
    Language,
    LanguagePair,
    Model,
    Named,
    Number,
    OneOf,
    PositiveDuration,
    Share,
    Text,
    UnknownKeyError,
    Unmarked,
    Whole,
    as_list,
    expand_one_of,
    kinds_of,
    marked,
)
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.profiles import PROFILES, merged
from simroom.scenario.units import SECOND, UnfitError

STAGES: Final = ("asr", "nmt", "tts")
"""The stages of a job, in order."""

ModuleName = Literal[
    "emotion_detection",
    "speaker_identification",
    "voice_cloning",
    "speech_rate_detection",
    "speech_rate_control",
    "persona_adaptation",
]


# --- load that other programs put on the GPU ---------------------------------------------------------------------


class SteadyLoad(OneOf):
    """Always the same."""

    bare: ClassVar[str | None] = "load"
    alone: ClassVar[bool] = True
    kind: Literal["constant"] = "constant"
    load: Annotated[Share, Field(lt=1)]
    """Share of the GPU that is taken."""


class WaveLoad(OneOf):
    """A sine: `mean` ± `amplitude`, cut to 0..99 %."""

    kind: Literal["wave"] = "wave"
    mean: Annotated[Share, Field(lt=1)]
    """Mean share that is taken."""
    amplitude: Share
    """How far above and below."""
    period: PositiveDuration
    """From one peak to the next; the mean, rising, is at time 0."""


class Step(Model):
    """A load from an instant on."""

    at: Duration
    """From when."""
    load: Annotated[Share, Field(lt=1)]
    """Share of the GPU that is taken."""


class StepsLoad(OneOf):
    """Changes at stated instants; 0 before the first."""

    bare: ClassVar[str | None] = "steps"
    kind: Literal["steps"] = "steps"
    steps: Annotated[tuple[Step, ...], BeforeValidator(as_list), Field(min_length=1, max_length=100_000)]
    """The changes, in order of time."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for position in range(1, len(self.steps)):
            if self.steps[position].at <= self.steps[position - 1].at:
                raise UnfitError("a step that is not later than the one before", "steps in order of time").under(
                    "steps", position, "at"
                )
        return self


class TraceLoad(OneOf):
    """From a CSV file with a column of times and one of shares; 0 before the first row, the last stays."""

    short: ClassVar[str | None] = "file"
    kind: Literal["trace"] = "trace"
    file: Text
    """Path of the CSV file, relative to the scenario's."""


_LOADS: Final = kinds_of(SteadyLoad, WaveLoad, StepsLoad, TraceLoad)


def _expand_load(value: object) -> object:
    what = "a load, for example 10%, or one of " + ", ".join(_LOADS)
    return expand_one_of(value, _LOADS, what, scalar="constant")


Background = Annotated[
    SteadyLoad | WaveLoad | StepsLoad | TraceLoad, Field(discriminator="kind"), BeforeValidator(_expand_load)
]


# --- GPU ---------------------------------------------------------------------------------------------------------


class _AnyGpu(Model):
    background: Background = SteadyLoad.model_construct(kind="constant", load=0.0)
    """Load that other programs put on it: it slows jobs down and shows in heartbeats."""


class SerialGpu(_AnyGpu):
    """One job after the other, in order of arrival."""

    model: Literal["serial"] = "serial"
    """One job after the other."""
    streams: Count = 1
    """Jobs that run at once without slowing each other; further ones wait."""


class SharedGpu(_AnyGpu):
    """All at once: n running jobs each run at 1/n of the speed."""

    model: Literal["shared"] = "shared"
    """All at once, each slower."""


class BatchingGpu(_AnyGpu):
    """Waiting jobs start together as one batch and end together, after fixed + per_job times their number."""

    model: Literal["batching"] = "batching"
    """In batches."""
    cap: Count
    """Largest batch."""


_GPUS: Final = ("serial", "shared", "batching")


def _expand_gpu(value: object) -> object:
    if isinstance(value, BaseModel):
        return value
    if isinstance(value, str) and value in _GPUS:
        return {"model": value}
    if not isinstance(value, dict):
        raise UnfitError(quoted(value), "a GPU, for example {model: serial}, or `none`")
    model = value.get("model", "serial")
    if not isinstance(model, str) or model not in _GPUS:
        hint = nearest(model, _GPUS) if isinstance(model, str) else None
        raise UnfitError(quoted(model), "one of " + ", ".join(_GPUS), hint).under("model")
    return {"model": "serial", **value}


def _expand_gpu_or_none(value: object) -> object:
    return None if value is None or value == "none" else _expand_gpu(value)


def _gpu_or_word(value: object, inner: SerializerFunctionWrapHandler) -> Any:
    return "none" if value is None else inner(value)


# --- service -----------------------------------------------------------------------------------------------------


class Stage(Model):
    """One stage of a job: (fixed + rtf · length of the utterance) · a chance factor of mean 1."""

    fixed: Duration = 0
    """What every job takes."""
    rtf: Annotated[Number, Field(ge=0, le=1_000)] = 0.0
    """Real-time factor: seconds of work for a second of speech."""
    spread: Annotated[Number, Field(ge=0, le=10)] = 0.0
    """Coefficient of variation of the factor, which is lognormal; 0: no chance at all."""


class StagedService(Unmarked):
    """Service by stages."""

    kind: Literal["stages"] = "stages"
    asr: Stage = Stage()
    """Speech to text."""
    nmt: Stage = Stage()
    """Text to text."""
    tts: Stage = Stage()
    """Text to speech."""


class WholeService(Model):
    """Service drawn for the whole job, whatever the length of the utterance."""

    kind: Literal["whole"] = "whole"
    span: Distribution
    """The whole service."""

    @model_serializer(mode="wrap")
    def _as_its_span(self, inner: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        fields: dict[str, Any] = inner(self)
        return fields["span"] if info.mode == "json" else fields


class BatchService(OneOf):
    """Service of a whole batch."""

    kind: Literal["batching"] = "batching"
    fixed: Duration
    """What every batch takes."""
    per_job: Duration
    """What each job in it adds."""
    spread: Annotated[Number, Field(ge=0, le=10)] = 0.0
    """Coefficient of variation of a lognormal factor of mean 1 on the whole."""


def _expand_service(value: object) -> object:
    if isinstance(value, BaseModel):
        return value
    if isinstance(value, dict):
        if "batching" in value:
            inner = value["batching"]
            if len(value) > 1 or not isinstance(inner, dict):
                raise UnfitError(quoted(value if len(value) > 1 else inner), "{batching: {fixed: 90ms, per_job: 20ms}}")
            return marked(inner, "batching", "batching")
        if not value or any(key in value for key in STAGES):
            return marked(value, "stages")
    return {"kind": "whole", "span": _distribution_or_stages(value, (*STAGES, "batching"))}


def _distribution_or_stages(value: object, others: tuple[str, ...]) -> object:
    """Let through what can only be meant as a distribution, and say what else there is where it is none."""
    if isinstance(value, dict) and len(value) == 1:
        key = next(iter(value))
        if key not in DISTRIBUTION_KINDS:
            raise UnknownKeyError(str(key), (*others, *DISTRIBUTION_KINDS))
    elif not isinstance(value, str) and value != 0:
        found = f"the keys {', '.join(map(str, value))}" if isinstance(value, dict) else quoted(value)
        raise UnfitError(found, f"{', '.join(others)}, or a duration or distribution for the whole")
    return value


Service = Annotated[
    StagedService | WholeService | BatchService, Field(discriminator="kind"), BeforeValidator(_expand_service)
]


class ColdStart(Model):
    """What the first job after a start takes longer, by stage."""

    asr: Distribution = constant(0)
    """Loading the ASR model."""
    nmt: Distribution = constant(0)
    """Loading the NMT model."""
    tts: Distribution = constant(0)
    """Loading the TTS model."""

    @model_validator(mode="before")
    @classmethod
    def _one_for_all(cls, value: Any) -> Any:
        """A single duration or distribution is the whole of it, and counts as the ASR's."""
        if isinstance(value, dict) and (not value or any(key in value for key in STAGES)):
            return value
        return value if isinstance(value, BaseModel) else {"asr": _distribution_or_stages(value, STAGES)}


class Heartbeat(Model):
    """A node's sign of life."""

    every: PositiveDuration = 15 * SECOND
    """Between two."""


# --- nodes -------------------------------------------------------------------------------------------------------


def _known_profile(value: object) -> object:
    if value is None or (isinstance(value, str) and value in PROFILES):
        return value
    hint = nearest(value, PROFILES) if isinstance(value, str) else None
    raise UnfitError(quoted(value), "one of " + ", ".join(PROFILES), hint)


class NodeGroup(Named):
    """Nodes that are alike. What the profile says holds where the node says nothing."""

    profile: Annotated[str | None, BeforeValidator(_known_profile)] = None
    """A built-in kind of node, whose values hold where nothing else is said. Default: none, and `service` is needed."""
    slots: Count | None = None
    """Jobs it takes at once. Default: `scheduler: max_concurrent_jobs`."""
    gpu: Annotated[
        Annotated[SerialGpu | SharedGpu | BatchingGpu, Field(discriminator="model")] | None,
        BeforeValidator(_expand_gpu_or_none),
        WrapSerializer(_gpu_or_word, when_used="json"),
    ] = SerialGpu()
    """How it runs jobs; `none`: it has no GPU, and the scheduler refuses it."""
    gpu_count: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs it says it has; they do not make it faster."""
    service: Service
    """How long jobs take."""
    cold_start: ColdStart = ColdStart()
    """What the first job after each start takes longer."""
    warm_up: Distribution = constant(0)
    """How long after a start its models are `downloading`."""
    starts: OptionalDistribution = None
    """When it connects. Default: at the very beginning of the lead-in."""
    leaves: OptionalDistribution = None
    """When its connection ends, for good. Default: never."""
    drains: OptionalDistribution = None
    """When it asks for no more jobs; it finishes what it has. Default: never."""
    heartbeat: Heartbeat = Heartbeat()
    """Its signs of life."""
    queue_count_max: Whole | None = None
    """Jobs that may wait for the GPU; one more is answered with NODE_OVERLOADED. Default: no limit."""
    cpu: Share = 0.0
    """CPU use that it reports."""
    memory: Share = 0.0
    """Memory use that it reports."""
    gpu_memory: Share = 0.0
    """GPU memory use that it reports."""
    languages: Annotated[tuple[Language, ...], BeforeValidator(as_list), Field(min_length=1)] | None = None
    """It translates between any two of these. Default: every pair that the scenario can need."""
    pairs: Annotated[tuple[LanguagePair, ...], BeforeValidator(as_list), Field(min_length=1)] | None = None
    """It translates these pairs, for example zh>en. Default: every pair that the scenario can need."""
    modules: Annotated[tuple[ModuleName, ...], BeforeValidator(as_list)] | None = None
    """Modules it has installed, and no others, even if these need them. Default: those that the scenario's features
    need, with all that they need."""
    public: bool = True
    """Whether it takes jobs from everybody."""

    @model_validator(mode="before")
    @classmethod
    def _on_top_of_the_profile(cls, value: Any) -> Any:
        return merged(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.languages is not None and self.pairs is not None:
            raise UnfitError("both `languages` and `pairs`", "one of them").under("pairs")
        batching = isinstance(self.gpu, BatchingGpu)
        if self.gpu is not None and batching != isinstance(self.service, BatchService):
            found = f"{self.service.kind} service on a GPU of model {self.gpu.model}"
            raise UnfitError(found, "`service: {batching: ...}` with, and only with, `gpu: {model: batching}`").under(
                "service"
            )
        return self
