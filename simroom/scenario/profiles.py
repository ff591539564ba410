"""Built-in kinds of node: where their figures come from, and how a node's own values go on top of them."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

_STAGES: Final = ("asr", "nmt", "tts")


class Profile(Struct, frozen=True):
    """A built-in kind of node.

    Attributes:
        description: What it stands for and where the figures come from.
        node: The keys of a node as a scenario file writes them.
    """

    description: str
    node: dict[str, Any]


PROFILES: Final[dict[str, Profile]] = {
    "desktop-2026": Profile(
        description=(
            "The modelled system's desktop-class node, translating zh to en, from its own logs: 14 ASR calls of 2.4 to"
            " 9.5 s of audio took a median of .16 of the audio's length (p95 .36); medians of NMT 1.5 s and TTS .4 s"
            " over 7 whole jobs, the first of which paid a cold ASR of 7.6 s and a cold TTS of 6.1 s; at its median"
            " audio of 3.9 s this makes 2.6 s a job, where batches of 200 utterances showed medians of 2.5 to 3.9 s;"
            " warm-up 7 to 46 s; its GPU is exclusive, with 8 jobs waiting at most. CPU and memory as its own example"
            " message shows them."
        ),
        node={
            "gpu": {"model": "serial", "streams": 1},
            "service": {
                "asr": {"fixed": "100ms", "rtf": 0.16, "spread": 0.3},
                "nmt": {"fixed": "1.1s", "rtf": 0.1, "spread": 0.1},
                "tts": {"fixed": "200ms", "rtf": 0.055, "spread": 0.1},
            },
            "cold_start": {"asr": "6s", "nmt": "0s", "tts": "5.7s"},
            "warm_up": {"uniform": {"from": "7s", "to": "46s"}},
            "queue_count_max": 8,
            "cpu": "37.5%",
            "memory": "40.8%",
        },
    ),
    "batching-whisper": Profile(
        description=(
            "Whisper large-v3 behind dynamic batching, from public measurements: a batch of c takes .087 + .0193 c s,"
            " saturating at 47 jobs a second from c = 32; large-model cold start with a median of 22 s and p99 of 52 s."
        ),
        node={
            "slots": 64,
            "gpu": {"model": "batching", "cap": 32},
            "service": {"batching": {"fixed": "87ms", "per_job": "19.3ms"}},
            "warm_up": {"lognormal": {"median": "22s", "p99": "52s"}},
        },
    ),
    "shared-t4": Profile(
        description=(
            "One T4 shared by all jobs on it, from public measurements: two at once take twice as long each (processor"
            " sharing). The length of a job alone follows the desktop node's real-time factors."
        ),
        node={
            "gpu": {"model": "shared"},
            "service": {
                "asr": {"fixed": "100ms", "rtf": 0.16, "spread": 0.3},
                "nmt": {"fixed": "1.1s", "rtf": 0.1, "spread": 0.1},
                "tts": {"fixed": "200ms", "rtf": 0.055, "spread": 0.1},
            },
        },
    ),
}
"""Built-in profiles, by name."""


def merged(node: dict[str, Any]) -> dict[str, Any]:
    """A node's keys on top of its profile's.

    ``gpu``, ``service`` and ``cold_start`` go together key by key as long as both say the same kind of thing;
    everything else a node says replaces what the profile says, and ``null`` takes it away. No profile leaves the node
    as it is; an unknown one stands for a service, so that the one mistake is told once.
    """
    name = node.get("profile")
    if name is None:
        return node
    profile = PROFILES.get(name) if isinstance(name, str) else None
    if profile is None:
        return {"service": "0s", **node}
    result = dict(profile.node)
    for key, value in node.items():
        if value is None and key in result and key != "gpu":
            del result[key]
        elif key == "gpu":
            result[key] = _merged_gpu(result.get(key), value)
        elif key in ("service", "cold_start"):
            result[key] = _merged_stages(result.get(key), value, deep=key == "service")
        else:
            result[key] = value
    return result


def _merged_gpu(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    if own.get("model", base.get("model")) != base.get("model"):
        return own
    return {**base, **own}


def _merged_stages(base: Any, own: Any, *, deep: bool) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    keys = ("batching",) if "batching" in base else _STAGES
    if not own or not all(key in base or key in keys for key in own) or not all(key in keys for key in base):
        return own
    result = dict(base)
    for key, value in own.items():
        inner = base.get(key)
        if deep and isinstance(value, dict) and isinstance(inner, dict):
            result[key] = {**inner, **value}
        else:
            result[key] = value
    return result
