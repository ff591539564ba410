"""The messages of the wire protocol, as typed values that the simulation passes and the wire encodes.

Field names are those of the protocol. Optional fields are ``None`` where absent and are left out of the encoded
form. Times inside messages keep the protocol's own units (``timestamp`` of a heartbeat: milliseconds; of a
``node_status``: seconds); everything else in simroom is whole microseconds.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

ModelKind = Literal["asr", "nmt", "tts", "vad", "emotion", "other"]
ModelState = Literal["ready", "downloading", "not_installed", "error"]
NodeCommand = Literal["drain"]


class ErrorCode:
    """The protocol's error codes, by name."""

    INVALID_MESSAGE: Final = "INVALID_MESSAGE"
    INTERNAL_ERROR: Final = "INTERNAL_ERROR"
    INVALID_SESSION: Final = "INVALID_SESSION"
    SESSION_CLOSED: Final = "SESSION_CLOSED"
    NODE_UNAVAILABLE: Final = "NODE_UNAVAILABLE"
    NODE_OVERLOADED: Final = "NODE_OVERLOADED"
    MODEL_NOT_AVAILABLE: Final = "MODEL_NOT_AVAILABLE"
    UNSUPPORTED_FEATURE: Final = "UNSUPPORTED_FEATURE"
    INVALID_PAIRING_CODE: Final = "INVALID_PAIRING_CODE"
    NO_AVAILABLE_NODE: Final = "NO_AVAILABLE_NODE"
    NO_GPU_AVAILABLE: Final = "NO_GPU_AVAILABLE"
    NODE_ID_CONFLICT: Final = "NODE_ID_CONFLICT"
    INVALID_CAPABILITY_SCHEMA: Final = "INVALID_CAPABILITY_SCHEMA"
    JOB_TIMEOUT: Final = "JOB_TIMEOUT"
    # What only nodes and servers of other makes say; the scheduler passes them on.
    MODEL_LOAD_FAILED: Final = "MODEL_LOAD_FAILED"
    MODEL_VERIFY_FAILED: Final = "MODEL_VERIFY_FAILED"
    MODEL_CORRUPTED: Final = "MODEL_CORRUPTED"
    NMT_TIMEOUT: Final = "NMT_TIMEOUT"
    TTS_TIMEOUT: Final = "TTS_TIMEOUT"
    WS_DISCONNECTED: Final = "WS_DISCONNECTED"
    SCHEDULER_DEPENDENCY_DOWN: Final = "SCHEDULER_DEPENDENCY_DOWN"
    ROOM_NOT_FOUND: Final = "ROOM_NOT_FOUND"
    ALREADY_IN_ROOM: Final = "ALREADY_IN_ROOM"
    INVALID_ROOM_CODE: Final = "INVALID_ROOM_CODE"
    ROOM_FULL: Final = "ROOM_FULL"


class _Wire(Struct, tag_field="type", omit_defaults=True, kw_only=False, gc=False):
    """Base of every message: a tagged, flat value that never takes part in a reference cycle."""


# --- parts of messages -------------------------------------------------------------------------------------------


class Features(Struct, frozen=True, omit_defaults=True, gc=False):
    """Optional features of a session; each that is true asks for a module."""

    emotion_detection: bool = False
    voice_style_detection: bool = False
    speech_rate_detection: bool = False
    speech_rate_control: bool = False
    speaker_identification: bool = False
    persona_adaptation: bool = False


class Resume(Struct, frozen=True, gc=False):
    """Who a reconnecting client says it is: the id and the secret token of its acknowledgement."""

    session_id: str
    token: str


class Gpu(Struct, frozen=True, gc=False):
    """One GPU of a node."""

    name: str
    memory_gb: float


class Hardware(Struct, frozen=True, omit_defaults=True):
    """A node's hardware; ``gpus`` absent or empty: no GPU."""

    cpu_cores: int
    memory_gb: float
    gpus: tuple[Gpu, ...] | None = None


class InstalledModel(Struct, frozen=True, omit_defaults=True, gc=False):
    """One model of a node; ``enabled`` absent: it is."""

    model_id: str
    kind: ModelKind
    version: str
    src_lang: str | None = None
    tgt_lang: str | None = None
    dialect: str | None = None
    enabled: bool | None = None


class ResourceUsage(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a node says of its own load, percentages 0..100; ``gpu_percent`` absent: it could not be read."""

    cpu_percent: float
    mem_percent: float
    running_jobs: int
    gpu_percent: float | None = None
    gpu_mem_percent: float | None = None


class Pipeline(Struct, frozen=True, gc=False):
    """Which stages of a job are wanted."""

    use_asr: bool
    use_nmt: bool
    use_tts: bool


class JobError(Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a node could not do a job."""

    code: str
    message: str
    details: str | None = None


class ServiceTimes(Struct, frozen=True, gc=False):
    """When a node worked on a job, whole microseconds; travels in the ``extra`` field of a result.

    ``started_at`` is on the node's own clock; the three spans add up to the whole service.
    """

    started_at: int
    asr_time: int
    nmt_time: int
    tts_time: int


class Member(Struct, frozen=True, omit_defaults=True, gc=False):
    """A member as shown to the others; ``joined_at`` is RFC 3339."""

    participant_id: str
    session_id: str
    joined_at: str
    display_name: str | None = None
    preferred_lang: str | None = None
    raw_voice_preferences: dict[str, bool] | None = None


# --- sessions to the scheduler -----------------------------------------------------------------------------------


class SessionInit(_Wire, tag="session_init"):
    """The first message of a session's connection."""

    client_version: str
    platform: str
    src_lang: str
    tgt_lang: str
    dialect: str | None = None
    features: Features | None = None
    pairing_code: str | None = None
    tenant_id: str | None = None
    mode: str | None = None
    lang_a: str | None = None
    lang_b: str | None = None
    auto_langs: tuple[str, ...] | None = None
    enable_streaming_asr: bool | None = None
    partial_update_interval_ms: int | None = None
    trace_id: str | None = None
    resume: Resume | None = None


class AudioChunk(_Wire, tag="audio_chunk"):
    """A piece of speech; ``is_final`` ends the utterance, which the scheduler then numbers."""

    session_id: str
    seq: int
    is_final: bool
    payload: str | None = None


class Utterance(_Wire, tag="utterance"):
    """One whole stretch of speech, numbered by the client."""

    session_id: str
    utterance_index: int
    manual_cut: bool
    src_lang: str
    tgt_lang: str
    audio: str
    audio_format: str
    sample_rate: int
    dialect: str | None = None
    features: Features | None = None
    trace_id: str | None = None
    mode: str | None = None
    lang_a: str | None = None
    lang_b: str | None = None
    auto_langs: tuple[str, ...] | None = None


class ClientHeartbeat(_Wire, tag="client_heartbeat"):
    """A sign of life of a session."""

    session_id: str
    timestamp: int


class TtsPlayEnded(_Wire, tag="tts_play_ended"):
    """A listener has finished playing a result."""

    session_id: str
    trace_id: str
    group_id: str
    ts_end_ms: int


class SessionClose(_Wire, tag="session_close"):
    """The session ends itself."""

    session_id: str
    reason: str


class RoomCreate(_Wire, tag="room_create"):
    """Open a room and be its first member."""

    client_ts: int
    display_name: str | None = None
    preferred_lang: str | None = None


class RoomJoin(_Wire, tag="room_join"):
    """Enter a room by the code that people type."""

    room_code: str
    display_name: str | None = None
    preferred_lang: str | None = None


class RoomLeave(_Wire, tag="room_leave"):
    """Leave the room."""

    room_code: str


class RoomLanguage(_Wire, tag="room_language"):
    """Change one's ``preferred_lang``; absent: none from now on."""

    room_code: str
    preferred_lang: str | None = None


class RoomRawVoicePreference(_Wire, tag="room_raw_voice_preference"):
    """Say whether one wants the untranslated voice of another member."""

    room_code: str
    target_session_id: str
    receive_raw_voice: bool


class WebrtcOffer(_Wire, tag="webrtc_offer"):
    """Signalling between two members; ``to`` is rewritten to the one who sent it."""

    room_code: str
    to: str
    sdp: str


class WebrtcAnswer(_Wire, tag="webrtc_answer"):
    """Signalling between two members; ``to`` is rewritten to the one who sent it."""

    room_code: str
    to: str
    sdp: str


class WebrtcIce(_Wire, tag="webrtc_ice"):
    """Signalling between two members; ``to`` is rewritten to the one who sent it."""

    room_code: str
    to: str
    candidate: str


# --- the scheduler to sessions -----------------------------------------------------------------------------------


class SessionInitAck(_Wire, tag="session_init_ack"):
    """The session is known; ``resume_token`` lets it come back within the grace."""

    session_id: str
    message: str
    trace_id: str
    assigned_node_id: str | None = None
    resume_token: str | None = None


class TranslationResult(_Wire, tag="translation_result"):
    """One result on its way to a recipient; ``session_id`` is the speaker's."""

    session_id: str
    utterance_index: int
    job_id: str
    text_asr: str
    text_translated: str
    tts_audio: str
    tts_format: str
    trace_id: str
    tgt_lang: str | None = None
    extra: ServiceTimes | None = None
    group_id: str | None = None
    part_index: int | None = None


class AsrPartial(_Wire, tag="asr_partial"):
    """What the ASR has heard so far; from a node to the scheduler, and from it to the speaker."""

    session_id: str
    utterance_index: int
    job_id: str
    text: str
    is_final: bool
    trace_id: str
    node_id: str | None = None


class UiEvent(_Wire, tag="ui_event"):
    """What became of a job, for the speaker's screen."""

    trace_id: str
    session_id: str
    job_id: str
    utterance_index: int
    event: str
    status: Literal["ok", "error"]
    elapsed_ms: int | None = None
    error_code: str | None = None
    hint: str | None = None


class ServerHeartbeat(_Wire, tag="server_heartbeat"):
    """The answer to a session's sign of life."""

    session_id: str
    timestamp: int


class SessionCloseAck(_Wire, tag="session_close_ack"):
    """The session has ended."""

    session_id: str


class RoomCreateAck(_Wire, tag="room_create_ack"):
    """The room exists."""

    room_code: str
    room_id: str


class RoomMembers(_Wire, tag="room_members"):
    """Who is in the room, in the order in which they joined."""

    room_code: str
    members: tuple[Member, ...]


class RoomError(_Wire, tag="room_error"):
    """A room request was refused."""

    code: str
    message: str | None = None


class RoomExpired(_Wire, tag="room_expired"):
    """The room has ended because nothing was said in it."""

    room_code: str
    message: str


class Error(_Wire, tag="error"):
    """A message was refused; the connection stays."""

    code: str
    message: str
    details: str | None = None


# --- nodes -------------------------------------------------------------------------------------------------------


class NodeRegister(_Wire, tag="node_register"):
    """The first message of a node's connection.

    ``capability_state`` absent: all installed models are ready. ``max_concurrent_jobs`` absent: the setting.
    """

    version: str
    platform: str
    hardware: Hardware
    installed_models: tuple[InstalledModel, ...]
    features_supported: Features
    accept_public_jobs: bool
    node_id: str | None = None
    capability_schema_version: str | None = None
    advanced_features: tuple[str, ...] | None = None
    capability_state: dict[str, ModelState] | None = None
    max_concurrent_jobs: int | None = None


class NodeRegisterAck(_Wire, tag="node_register_ack"):
    """The node is known under this id."""

    node_id: str
    message: str
    status: str


class NodeHeartbeat(_Wire, tag="node_heartbeat"):
    """A node's sign of life and its load; what is absent is as it was."""

    node_id: str
    timestamp: int
    resource_usage: ResourceUsage
    installed_models: tuple[InstalledModel, ...] | None = None
    capability_state: dict[str, ModelState] | None = None


class NodeStatusNotice(_Wire, tag="node_status"):
    """The node's status has changed; ``timestamp`` in seconds."""

    node_id: str
    status: str
    reason: str
    timestamp: int


class JobAssign(_Wire, tag="job_assign"):
    """One job for a node; ``attempt_id`` counts the attempts of the job from 1."""

    job_id: str
    session_id: str
    utterance_index: int
    src_lang: str
    tgt_lang: str
    pipeline: Pipeline
    audio: str
    audio_format: str
    sample_rate: int
    trace_id: str
    attempt_id: int | None = None
    dialect: str | None = None
    features: Features | None = None
    mode: str | None = None
    lang_a: str | None = None
    lang_b: str | None = None
    auto_langs: tuple[str, ...] | None = None
    enable_streaming_asr: bool | None = None
    partial_update_interval_ms: int | None = None
    group_id: str | None = None
    part_index: int | None = None
    context_text: str | None = None


class JobCancel(_Wire, tag="job_cancel"):
    """The result of this attempt is no longer wanted."""

    job_id: str
    attempt_id: int


class JobResult(_Wire, tag="job_result"):
    """What a node made of an attempt; ``attempt_id`` absent: the one attempt of that job on that node."""

    job_id: str
    node_id: str
    session_id: str
    utterance_index: int
    success: bool
    trace_id: str
    text_asr: str | None = None
    text_translated: str | None = None
    tts_audio: str | None = None
    tts_format: str | None = None
    extra: ServiceTimes | None = None
    processing_time_ms: int | None = None
    error: JobError | None = None
    attempt_id: int | None = None


class NodeError(_Wire, tag="node_error"):
    """A node reports a fault of its own that belongs to no job."""

    node_id: str
    code: str
    message: str
    details: str | None = None


class NodeControl(_Wire, tag="node_control"):
    """A node asks to be taken out of service: no new job, what it has is finished."""

    node_id: str
    command: NodeCommand
    reason: str | None = None


FromSession = (
    SessionInit
    | AudioChunk
    | Utterance
    | ClientHeartbeat
    | TtsPlayEnded
    | SessionClose
    | RoomCreate
    | RoomJoin
    | RoomLeave
    | RoomLanguage
    | RoomRawVoicePreference
    | WebrtcOffer
    | WebrtcAnswer
    | WebrtcIce
)
FromNode = NodeRegister | NodeHeartbeat | JobResult | AsrPartial | NodeError | NodeControl
ToSession = (
    SessionInitAck
    | TranslationResult
    | AsrPartial
    | UiEvent
    | ServerHeartbeat
    | SessionCloseAck
    | RoomCreateAck
    | RoomMembers
    | RoomError
    | RoomExpired
    | WebrtcOffer
    | WebrtcAnswer
    | WebrtcIce
    | Error
)
ToNode = NodeRegisterAck | NodeStatusNotice | JobAssign | JobCancel | Error
Incoming = FromSession | FromNode
Outgoing = ToSession | ToNode
Addressed = tuple[tuple[int, ...], Outgoing]
"""One thing to be sent: the connections it goes to, in order, and the message (the same object for all of them)."""
