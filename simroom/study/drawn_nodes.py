"""Random nodes: few slots, short queues, cold starts, and all that makes one unfit for a job."""

from __future__ import annotations

from typing import Any

from simroom.study.drawn_people import LANGUAGES, Data
from simroom.study.luck import Luck


def node(luck: Luck, position: int) -> Data:
    """A random group of nodes."""
    late = luck.temper.late
    kind = "serial" if late else luck.choice(("serial", "serial", "shared", "batching"))
    drawn: Data = {
        "name": f"node{position}",
        "count": luck.choice((1, 1, 2)),
        "gpu": {"model": kind},
        "service": _service(luck, kind),
        "heartbeat": {"every": luck.choice(("1s", "1s", "1s", "3s", "4s", "15s"))},
    }
    if kind == "serial":
        drawn["gpu"]["streams"] = 4 if late else luck.choice((1, 2, 4))
    elif kind == "batching":
        drawn["gpu"]["cap"] = luck.choice((1, 2, 8))
    if luck.nasty(0.3):
        drawn["gpu"]["background"] = luck.choice(
            (
                "20%",
                {"wave": {"mean": "40%", "amplitude": "50%", "period": "8s"}},
                {"steps": [{"at": "2s", "load": "95%"}, {"at": "6s", "load": 0.1}, {"at": "9s", "load": 0}]},
            )
        )
    if luck.likely(0.8):
        drawn["slots"] = luck.whole(3 if late else 1, 4)
    if luck.nasty(0.3):
        staged = {"asr": "500ms", "tts": {"uniform": {"from": "0s", "to": "2s"}}}
        drawn["cold_start"] = luck.choice(("1s", "4s", staged))
    if luck.temper.sound and position == 0:
        drawn["heartbeat"] = {"every": "1s"}
        drawn["slots"] = luck.whole(2, 4)
    else:
        _coming_and_going(luck, position, drawn)
        _unfitness(luck, drawn)
    return drawn


def _coming_and_going(luck: Luck, position: int, drawn: Data) -> None:
    if luck.nasty(0.4):
        drawn["queue_count_max"] = luck.choice((0, 0, 1, 2))
    if luck.nasty(0.3):
        drawn["warm_up"] = luck.choice(("1s", "4s", "12s", "30s"))
    if position and luck.nasty(0.3):
        drawn["starts"] = luck.early()
    if luck.nasty(0.25):
        drawn["leaves"] = luck.late()
    if luck.nasty(0.2):
        drawn["drains"] = luck.late()


def _unfitness(luck: Luck, drawn: Data) -> None:
    """Now and then take away what a node needs to be given jobs."""
    if luck.nasty(0.15):
        drawn["pairs"] = luck.sample(["zh>en", "en>ja", "zh-CN>en", "ja>en", "zh>zh", "en>zh", "zh-cn > en"], 3)
    elif luck.nasty(0.15):
        drawn["languages"] = luck.sample(LANGUAGES, 3)
    if luck.nasty(0.1):
        drawn["modules"] = []
    if luck.nasty(0.05):
        drawn["public"] = False
    if luck.nasty(0.05):
        drawn["gpu"] = "none"
        drawn["service"] = "1s"
    for share in ("cpu", "memory", "gpu_memory"):
        if luck.nasty(0.1):
            drawn[share] = luck.choice(("50%", "90%", "100%"))


def _service(luck: Luck, kind: str) -> Any:
    if kind == "batching":
        if luck.temper.grid:
            return {"batching": {"fixed": luck.span(0, 400), "per_job": luck.span(0, 200)}}
        return {"batching": {"fixed": "190ms", "per_job": "77ms"}}
    mostly_short = {"empirical": [*(luck.span(100, 900) for _ in range(9)), luck.span(2000, 9000)]}
    if luck.temper.late:
        return mostly_short
    if luck.temper.grid:
        return luck.span(0, 1500)
    stages = {
        "asr": {"rtf": luck.choice((0.2, 1))},
        "nmt": {"fixed": "80ms"},
        "tts": {"fixed": "50ms", "rtf": 0.1, "spread": 0.3 if luck.likely(0.1) else 0},
    }
    return luck.choice(("900ms", {"uniform": {"from": "10ms", "to": "1500ms"}}, mostly_short, mostly_short, stages))
