"""Queues whose answer is known, as scenarios: what the simulated world is held against, and by which figure.

All are one session with Poisson arrivals, no network, and services of mean one second, so that a mean time in seconds
is a time in services. What the scheduler has no word for is not among them: priorities between jobs, and a job that
passes through several nodes (tandem); patience is constant in a scenario, so it is held against a path and not against
Erlang A.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal

from msgspec import Struct

from simroom.stats import queueing
from simroom.stats.choices import shortest_queue_time
from simroom.stats.published import Figure, figures

Data = dict[str, Any]
Statistic = Literal["time", "wait", "waited", "blocked", "p99"]
"""Of all jobs: mean time in the system, mean wait, share that waited, share that was refused, 99th percentile of the
time in the system."""
Sabotage = Literal["arrivals", "slot", "report", "ties"]

SABOTAGES: Final[dict[Sabotage, str]] = {
    "arrivals": "two per cent more arrivals",
    "slot": "one stream, slot or node less, where there is more than one",
    "report": "the service counted until its report has come, two per cent later",
    "ties": "all ties for the node that registered first",
}
"""Ways of spoiling the simulated world, each of which must be noticed."""


class Case(Struct, frozen=True):
    """A queue and what is known of it.

    Attributes:
        group: What it belongs to.
        statistic: What is known.
        truth: Its value, seconds or a share.
        error: Standard error of the truth itself, where it comes from a simulation; else 0.
        source: Whose truth it is.
        rate: Arrivals a second.
        jobs: How many jobs make one replication in the quick form; the long form takes as many times more as it needs.
        settle: Services until what it began with is forgotten: the warm-up, seconds.
        data: The scenario, but for its durations.
    """

    name: str
    group: str
    statistic: Statistic
    truth: float
    error: float
    source: str
    rate: float
    jobs: int
    settle: float
    data: Data

    def scenario(self, jobs: int, sabotage: Sabotage | None = None) -> Data:
        """The scenario of a replication of so many jobs, as a file would hold it."""
        data = spoilt(self.data, sabotage) if sabotage is not None else self.data
        settle = max(1, round(self.settle))
        duration = settle + max(1, round(jobs / self.rate))
        return {**data, "duration": f"{duration}s", "warm_up": f"{settle}s"}


_PLAIN: Final[Data] = {"ordering": "none", "job_timeout": "2400h", "max_attempts": 1, "tie_break": "random"}


def queue(
    rate: float,
    *,
    streams: int = 1,
    nodes: int = 1,
    slots: int = 1_000_000,
    service: Any = None,
    gpu: str = "serial",
    beat: float | None = None,
    **scheduler: Any,
) -> Data:
    """A queue as a scenario without durations."""
    node: Data = {
        "name": "node",
        "count": nodes,
        "slots": slots,
        "gpu": {"model": gpu} | ({"streams": streams} if gpu == "serial" else {}),
        "service": service or {"exponential": {"mean": "1s"}},
    }
    if beat is not None:
        node["heartbeat"] = {"every": f"{beat:g}s"}
    speech = {"arrivals": {"poisson": f"{rate:.9g}/s"}, "utterance": "1s", "longest": "none"}
    return {
        "simroom": 1,
        "name": "a queue with a known answer",
        "lead_in": f"{max(5, math.ceil(4 * (beat or 15)))}s",  # for three healthy heartbeats
        "drain": "2400h",
        "sessions": [{"name": "caller", "src_lang": "zh", "tgt_lang": "en", "speech": speech}],
        "nodes": [node],
        "scheduler": {
            "ordering": "none",
            "job_timeout": "2400h",
            "max_attempts": 1,
            "tie_break": "random",
            **scheduler,
        },
    }


def spoilt(data: Data, sabotage: Sabotage) -> Data:
    """The same scenario, spoilt."""
    (session,), (node,) = data["sessions"], data["nodes"]
    scheduler = data["scheduler"]
    if sabotage == "arrivals":
        rate = float(session["speech"]["arrivals"]["poisson"].removesuffix("/s"))
        speech = {**session["speech"], "arrivals": {"poisson": f"{rate * 1.02:.9g}/s"}}
        return {**data, "sessions": [{**session, "speech": speech}]}
    if sabotage == "ties":
        return {**data, "scheduler": {**scheduler, "tie_break": "first", "policy": "least_connections"}}
    if sabotage == "report":
        return {**data, "network": {"node": {"up": "20ms"}}}
    streams = node["gpu"].get("streams", 1)
    if node["count"] > 1:
        node = {**node, "count": node["count"] - 1}
    elif streams > 1:
        slots = node["slots"] - 1 if node["slots"] == streams else node["slots"]
        node = {**node, "slots": slots, "gpu": {**node["gpu"], "streams": streams - 1}}
    return {**data, "nodes": [node]}


def cases() -> tuple[Case, ...]:
    """Every queue, in the order of the table."""
    return (*_single(), *_several(), *_loss(), *_sharing(), *_published())


def _case(
    name: str,
    group: str,
    statistic: Statistic,
    truth: float,
    source: str,
    rate: float,
    data: Data,
    *,
    settle: float = 200.0,
    error: float = 0.0,
    jobs: int = 2_000,
) -> Case:
    return Case(name, group, statistic, truth, error, source, rate, jobs, settle, data)


def _forget(load: float) -> float:
    """Services after which a queue of this load has forgotten that it began empty: ten relaxation times.

    The relaxation time of M/M/1 is ``1 / (1 - sqrt(rho))**2`` services (Cohen, The Single Server Queue, 1982).
    """
    return 10.0 / float(1.0 - load**0.5) ** 2


def _single() -> list[Case]:
    found = []
    for load in (0.5, 0.7, 0.8, 0.9, 0.95):
        settle = _forget(load)
        found.append(
            _case(f"M/M/1 {load:g}", "one server", "time", queueing.mm1_time(load, 1), "1 / (mu - lambda)", load,
                  queue(load), settle=settle)
        )  # fmt: skip
    for load in (0.5, 0.9):
        found.append(
            _case(f"M/M/1 {load:g} p99", "one server", "p99", queueing.mm1_time_quantile(0.99, load, 1),
                  "ln 100 / (mu - lambda)", load, queue(load), settle=_forget(load))
        )  # fmt: skip
        found.append(
            _case(f"M/D/1 {load:g}", "one server", "time", queueing.md1_time(load, 1), "Pollaczek-Khinchine", load,
                  queue(load, service="1s"), settle=_forget(load))
        )  # fmt: skip
        found.append(
            _case(f"M/G/1 cv2=4 {load:g}", "one server", "time", queueing.mg1_time(load, 1, 4.0), "Pollaczek-Khinchine",
                  load, queue(load, service={"lognormal": {"mean": "1s", "cv": 2}}), settle=3 * _forget(load))
        )  # fmt: skip
    return found


def _several() -> list[Case]:
    found = []
    for servers, load in ((2, 1.0), (2, 1.8), (5, 4.0), (10, 9.0), (20, 18.0), (100, 95.0)):
        settle = _forget(load / servers) / servers + 20
        truth = queueing.mmc_wait(servers, load, 1)
        data = queue(load, streams=servers)
        found.append(
            _case(
                f"M/M/{servers} a={load:g} wait",
                "several servers",
                "wait",
                truth,
                "Erlang C",
                load,
                data,
                settle=settle,
            )
        )
    truth = queueing.erlang_c(14, 10.0)
    data = queue(10.0, streams=14)
    found.append(_case("M/M/14 a=10 waited", "several servers", "waited", truth, "Erlang C; pyworkforce", 10.0, data))
    return found


def _loss() -> list[Case]:
    services: dict[str, Any] = {
        "exponential": {"exponential": {"mean": "1s"}},
        "constant": "1s",
        "cv2=4": {"lognormal": {"mean": "1s", "cv": 2}},
    }
    found = []
    for servers, load in ((2, 1.0), (12, 10.0)):
        for law, service in services.items():
            data = queue(load, streams=servers, slots=servers, service=service)
            truth = queueing.erlang_b(servers, load)
            found.append(_case(f"B({servers}; {load:g}) {law}", "loss", "blocked", truth, "Erlang B", load, data))
    return found


def _sharing() -> list[Case]:
    found = []
    for law, service in (("exponential", None), ("constant", "1s")):
        truth = queueing.sharing_time(0.7, 1)
        data = queue(0.7, gpu="shared", service=service)
        found.append(
            _case(f"M/G/1 sharing {law} 0.7", "processor sharing", "time", truth, "1 / (mu - lambda), whatever the law",
                  0.7, data, settle=_forget(0.7))
        )  # fmt: skip
    return found


def _published() -> list[Case]:
    found = []
    for figure in figures():
        if figure.policy == "shortest" and figure.report_interval is None and figure.load > 0.9:
            continue  # the published value comes from a chain that was cut short; the exact one is below
        found.append(_of(figure))
    for nodes, load in ((2, 0.95),):
        truth = shortest_queue_time(nodes, load)
        data = queue(nodes * load, nodes=nodes)
        found.append(
            _case(f"shortest of {nodes}, {load:g}", "shortest queue", "time", truth, "exact chain", nodes * load, data,
                  settle=_forget(load))
        )  # fmt: skip
    return found


def _of(figure: Figure) -> Case:
    rate = figure.nodes * figure.load
    scheduler: Data = {}
    group = "shortest queue"
    if figure.choices is not None:
        group = "choices"
        scheduler = {
            "policy": "choices",
            "choices_count": figure.choices,
            "choices_repeat": figure.policy == "choices",
        }
    name = f"best of {figure.choices}" if figure.choices is not None else "shortest"
    name += f" of {figure.nodes}, {figure.load:g}"
    if figure.policy == "choices_without_replacement":
        name += ", different ones"
    # With a choice among many, queues stay short and soon forget; a few nodes together are like one fast server.
    settle = max(40 + 10 / (1 - figure.load), _forget(figure.load) / figure.nodes)
    if figure.report_interval is not None:
        group = "stale load"
        name += f", every {figure.report_interval:g} s"
        scheduler["load"] = "reported"
        settle += 20 * figure.report_interval
    data = queue(rate, nodes=figure.nodes, beat=figure.report_interval, **scheduler)
    return _case(
        name,
        group,
        "time",
        figure.time,
        figure.source,
        rate,
        data,
        settle=settle,
        error=(figure.error or 0) * figure.time,
    )
