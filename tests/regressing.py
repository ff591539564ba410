"""What the tests of checks, baselines and comparisons share: scenarios, and schedulers as commits would change them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from simroom.scheduler.messages import Addressed, Incoming, Utterance
from simroom.scheduler.port import SchedulerPort, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings
from simroom.study.executors import Local

ROOM = """\
simroom: 1
name: A room
tags: [quick, rooms]
duration: 40s
rooms:
  - name: room
    members:
      - {name: mei, speaks: zh, preferred_lang: en}
      - {name: anna, speaks: en, preferred_lang: en}
      - {name: yuki, speaks: ja, preferred_lang: ja}
    speech:
      script:
        - {at: 1s, length: 2s, speaker: mei}
        - {at: 8s, length: 2s, speaker: anna}
        - {at: 15s, length: 2s, speaker: mei}
        - {at: 22s, length: 2s, speaker: yuki}
nodes:
  - {name: node, count: 3, slots: 4, service: 1s}
expect:
  - violations == 0
  - delivery_latency.p95 < 2s
"""
CROWD = """\
simroom: 1
name: By chance
tags: [chance]
duration: 60s
sessions:
  - {name: caller, count: 6, src_lang: zh, tgt_lang: en, speech: {arrivals: {poisson: 12/min}}}
nodes:
  - {name: node, count: 3, slots: 4, gpu: {model: serial, streams: 1}, service: 600ms}
expect:
  - violations == 0
"""
BROKEN = ROOM.replace("duration: 40s", "duration: 40")
HOSTILE = '"><img src=x onerror=alert(1)>|`*_@a %0A,:\u202e\x1b[31m'
"""What YAML can hold in a name only as escapes: see ``hostile``."""


def hostile(text: str) -> str:
    """The same scenario under a name that means harm."""
    name = '"\\"><img src=x onerror=alert(1)>|`*_@a %0A,:\\u202e\\e[31m"'
    return text.replace("name: A room", f"name: {name}")


def begin_processes() -> None:
    """Start a process once, so that everything that takes is imported before a command is tried in this one."""
    with Local(1) as executor:
        assert [answer.fate for answer in executor.map_in_order([int])] == ["done"]


SHIM = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
if __name__ == "__main__":
    sys.argv[0] = "simroom"
    from simroom.cli import main
    from simroom.cli import regressing
    main.main()
"""


def installed(folder: Path) -> Path:
    """Put the command `simroom` into a folder, as an installation does; returns the folder."""
    folder.mkdir()
    root = str(Path(__file__).resolve().parents[1])
    (folder / "simroom").write_text(SHIM.format(python=sys.executable, root=root))
    (folder / "simroom").chmod(0o755)
    return folder


def environment(command: Path, **more: str) -> dict[str, str]:
    """What a shell has in which `simroom` can be typed."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SIMROOM_", "GITHUB_", "CI"))}
    return {**clean, "PATH": f"{command}:{os.environ['PATH']}", "COLUMNS": "80", **more}


def folder_of(tmp_path: Path, **scenarios: str) -> Path:
    """A folder with scenarios, by the names of their files."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name, text in scenarios.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


# --- as commits would change the scheduler -----------------------------------------------------------------------


def nothing(settings: Settings, sources: Sources) -> SchedulerPort:
    """A commit that changes nothing."""
    return Scheduler(settings, sources)


def ties(settings: Settings, sources: Sources) -> SchedulerPort:
    """A commit that changes the rule for ties."""
    return Scheduler(replace(settings, tie_break="first"), sources)


def herding(settings: Settings, sources: Sources) -> SchedulerPort:
    """A commit that sees what a node has to do only when it says so."""
    return Scheduler(replace(settings, load="reported"), sources)


class Scanning(Scheduler):
    """A commit that looks through a list for each utterance."""

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        if isinstance(message, Utterance):
            for _ in range(300):
                pass
        return super().received(connection, message, now)


class Sleeping(Scheduler):
    """A commit that waits for something else for each utterance."""

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        if isinstance(message, Utterance):
            time.sleep(0.0005)
        return super().received(connection, message, now)


class Raising(Scheduler):
    """A commit that raises."""

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        if isinstance(message, Utterance):
            raise KeyError("no such thing")
        return super().received(connection, message, now)


class Stuck(Scheduler):
    """A commit that takes its time."""

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        if isinstance(message, Utterance):
            time.sleep(0.25)
        return super().received(connection, message, now)
