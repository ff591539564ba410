"""The short way judges exactly as the long way does: same verdict, same counts of judgements, same ledger."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import msgspec
import pytest
from test_oracle_bug_bank import BANK, Bug
from test_oracle_history import SECOND, History
from test_oracle_robustness import SETTINGS, Anything

from simroom.oracle.ledger import Ledger
from simroom.oracle.oracle import Oracle
from simroom.oracle.payload import translated
from simroom.oracle.verdict import Verdict
from simroom.scenario.load import load
from simroom.scenario.schema import Scenario
from simroom.scheduler.messages import Addressed, Features, Incoming, JobAssign, JobResult, TranslationResult, Utterance
from simroom.scheduler.port import PeerKind, SchedulerFactory, Sources
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.settings import Settings
from simroom.sim import world
from simroom.sim.run import RunData, simulate

SCENARIOS = Path(__file__).parent.parent / "scenarios"
WAYS = (True, False)
USUAL = {"churn", "order-gap", "order-strict", "room-fan-out", "single-session", "ties-first", "ties-random"}
"""Scenarios of which at least a part goes the short way."""


Books = dict[str, list[int] | list[str]]


def books(ledger: Ledger) -> Books:
    """All columns of all tables, languages by name: which of them is numbered first says nothing."""
    tables = {"u": ledger.utterances(), "j": ledger.jobs(), "d": ledger.deliveries()}
    columns = {f"{table}.{name}": column.tolist() for table, some in tables.items() for name, column in some.items()}
    for name in ("u.src_lang", "j.tgt_lang"):
        columns[name] = [ledger.languages.names[number] for number in columns[name]]
    return columns


def of_history(bug_in: Bug, settings: dict[str, object], *, shortcuts: bool) -> tuple[Verdict, Books]:
    history = History(shortcuts=shortcuts, **settings)
    bug_in(history)
    return history.finish(getattr(history, "books", None)), books(history.ledger)


def ran(
    monkeypatch: pytest.MonkeyPatch, scenario: Scenario, factory: SchedulerFactory | None = None
) -> tuple[RunData, RunData, int]:
    """The same run judged the short way where that goes, and the long way throughout; how much went the short way."""
    oracles = []

    def make(settings: Settings, ledger: Ledger, *, shortcuts: bool, remembering: bool = False) -> Oracle:
        oracles.append(Oracle(settings, ledger, shortcuts=shortcuts, remembering=remembering))
        return oracles[-1]

    runs = []
    for shortcuts in WAYS:
        monkeypatch.setattr(world, "Oracle", partial(make, shortcuts=shortcuts))
        runs.append(simulate(scenario, scheduler=factory))
    assert oracles[1].shortcut_count == 0
    return runs[0], runs[1], oracles[0].shortcut_count


def same(short: RunData, long: RunData) -> bool:
    assert short.verdict.judgements == long.verdict.judgements
    assert short.verdict == long.verdict
    assert books(short.ledger) == books(long.ledger)
    assert short.trace_hash == long.trace_hash
    return True


@pytest.mark.parametrize(("settings", "bug_in"), [entry[1:3] for entry in BANK], ids=[entry[0] for entry in BANK])
def test_every_bug_of_the_bank_is_judged_the_same_either_way(settings, bug_in):
    short, long = (of_history(bug_in, settings, shortcuts=shortcuts) for shortcuts in WAYS)
    assert short == long


@pytest.mark.parametrize("path", sorted((SCENARIOS / "rules").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_of_the_rules_is_judged_the_same_either_way(monkeypatch, path):
    short, long, short_count = ran(monkeypatch, load(path))
    assert same(short, long)
    assert short_count > 0 or path.stem not in USUAL


def test_nearly_everything_in_a_steady_fleet_goes_the_short_way(monkeypatch):
    scenario = load(SCENARIOS / "fleets" / "small.yaml")
    short, long, short_count = ran(monkeypatch, scenario)
    assert same(short, long)
    assert short_count > 0.9 * short.ledger.job_count > 1_000


@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_nonsense_is_judged_the_same_either_way(settings):
    for seed in range(8):
        verdicts = []
        for shortcuts in WAYS:
            anything = Anything(seed, settings, shortcuts=shortcuts)
            for _ in range(120):
                anything.step()
            verdicts.append((anything.history.finish(), books(anything.history.ledger)))
        assert verdicts[0] == verdicts[1]


def answered_under_other_numbers(history: History) -> None:
    n1, n2 = history.node("n1", slots=4), history.node("n2", slots=4)
    zh, en = history.room("zh", "en")
    for number in range(6):
        history.at(number)
        history.say(zh, (f"j{number}", (n1, n2)[number % 2], "en"))
    history.answer(n1, "j0", history.sent("j0", en), attempt=7)
    history.answer(n2, "j1", history.sent("j1", en), attempt=1)
    history.answer(n1, "j0", attempt=1)
    history.answer(n1, "j4", attempt=2)
    history.answer(n1, "j2", history.sent("j2", en), attempt=1)
    history.answer(n2, "j3", history.sent("j3", en), history.sent("j4", en), attempt=1)
    history.answer(n2, "j5", history.sent("j5", en), attempt=1)
    history.answer(n1, "j4", attempt=1)


def test_answers_under_numbers_never_given_are_judged_the_same_either_way():
    short, long = (of_history(answered_under_other_numbers, {}, shortcuts=shortcuts) for shortcuts in WAYS)
    assert short == long
    assert short[0].violation_count == 0
    assert short[0].ends["delivered"] == 6


class Erring:
    """A scheduler that does most things right."""

    def __init__(self, settings: Settings, sources: Sources, *, seed: int) -> None:
        self._right = Scheduler(settings, sources)
        self._random = random.Random(seed)
        self._nodes: dict[int, None] = {}

    @property
    def next_deadline(self) -> int | None:
        return self._right.next_deadline

    def opened(self, connection: int, kind: PeerKind, now: int) -> list[Addressed]:
        if kind == "node":
            self._nodes[connection] = None
        return self._right.opened(connection, kind, now)

    def closed(self, connection: int, now: int) -> list[Addressed]:
        return self._right.closed(connection, now)

    def received(self, connection: int, message: Incoming, now: int) -> list[Addressed]:
        return [wrong for right in self._right.received(connection, message, now) for wrong in self._spoilt(right)]

    def wake(self, now: int) -> list[Addressed]:
        return self._right.wake(now)

    def _spoilt(self, output: Addressed) -> list[Addressed]:
        to, message = output
        if self._random.random() > 0.1:
            return [output]
        change = self._random.randrange(7)
        if isinstance(message, TranslationResult):
            return [
                [],
                [output, output],
                [(to[1:], message)] if len(to) > 1 else [],
                [(to[::-1], message)],
                [(to, msgspec.structs.replace(message, tts_audio="x"))],
                [(to, msgspec.structs.replace(message, utterance_index=message.utterance_index + 1))],
                [(to, msgspec.structs.replace(message, tgt_lang="fr"))],
            ][change]
        if isinstance(message, JobAssign):
            return [
                [((self._random.choice(list(self._nodes)),), message)],
                [(to, msgspec.structs.replace(message, audio="x"))],
                [(to, msgspec.structs.replace(message, attempt_id=2))],
                [(to, msgspec.structs.replace(message, src_lang="fr"))],
                [],
                [(to, msgspec.structs.replace(message, session_id="x"))],
                [(to, msgspec.structs.replace(message, tgt_lang="fr"))],
            ][change]
        return [output]


ROOMS = {
    "simroom": 1,
    "name": "erring",
    "duration": "60s",
    "lead_in": "90s",
    "rooms": [
        {
            "name": "r",
            "count": 3,
            "members": [{"speaks": language} for language in ("zh", "en", "ja", "zh", "en")],
            "speech": {
                "turn_taking": {
                    "utterance": {"lognormal": {"mean": "2s", "sigma": 0.5}},
                    "silence": "10%",
                    "overlap": "10%",
                }
            },
        }
    ],
    "nodes": [{"name": "n", "count": 4, "slots": 2, "service": {"lognormal": {"mean": "900ms", "sigma": 0.6}}}],
}


@pytest.mark.parametrize("seed", range(6))
def test_what_an_erring_scheduler_does_is_judged_the_same_either_way(monkeypatch, seed):
    short, long, short_count = ran(monkeypatch, Scenario.model_validate(ROOMS), partial(Erring, seed=seed))
    assert same(short, long)
    assert short_count > 50
    assert short.verdict.violation_count > 10


TROUBLES = [
    {"at": "20s", "restart_scheduler": {}},
    {"at": "41s", "restart_scheduler": {}},
    {"every": "15s", "crash": {"nodes": {"random": 1}, "for": "2s"}},
    {"wrong_answer": {"nodes": "all", "share": "20%", "how": "swapped"}},
    {"wrong_answer": {"nodes": "all", "share": "10%", "how": "empty"}},
    {"every": "9s", "drop": {"sessions": {"random": 3}, "for": "1s"}},
]


@pytest.mark.parametrize("seed", range(3))
def test_a_run_with_troubles_is_judged_the_same_either_way(monkeypatch, seed):
    nodes = [{**ROOMS["nodes"][0], "heartbeat": {"every": "1s"}}]
    scenario = Scenario.model_validate({**ROOMS, "nodes": nodes, "faults": TROUBLES, "seed": seed})
    short, long, _ = ran(monkeypatch, scenario)
    assert same(short, long)
    verdict = short.verdict
    assert verdict.ends["lost"] > 0
    assert verdict.wrong_answers["empty"]
    assert {breach.kind for breach in verdict.violations} <= {"leaked_by_node"}, verdict.violations
    assert verdict.judgements["L4"] == 1


def test_a_lane_forgets_who_heard_it_when_a_listener_comes_back_elsewhere():
    verdicts = []
    for shortcuts in WAYS:
        history = History(shortcuts=shortcuts, reconnect_grace=10 * SECOND)
        node = history.node("n1")
        zh, en = history.room("zh", "en")
        history.say(zh, ("j0", node, "en"))
        history.answer(node, "j0", history.sent("j0", en))
        back = history.resume(en)
        history.say(zh, ("j1", node, "en"))
        history.answer(node, "j1", history.sent("j1", back))
        history.say(zh, ("j2", node, "en"))
        history.answer(node, "j2", history.sent("j2", en))
        verdicts.append(history.finish())
    assert verdicts[0] == verdicts[1]
    assert [breach.utterance_index for breach in verdicts[0].violations if breach.kind != "stuck"] == [2, 2]


def spoken_for_another_language(history: History, _zh: int, _en: int, node: int) -> None:
    alone = history.session("alone", tgt="en")
    history.say(alone, ("j1", node, "en"))
    history.answer(node, "j1", history.sent("j1", alone))
    history.say(alone, ("j2", node, "en"), tgt="fr")


def features_for_once(history: History, zh: int, _en: int, node: int) -> None:
    history.say(zh, ("j1", node, "en"), features=Features(emotion_detection=True))


def other_languages_to_guess_from(history: History, _zh: int, _en: int, _node: int) -> None:
    only, _ = history.node("only", pairs=("ja>en",)), history.node("other", pairs=("de>en",))
    alone = history.session("alone", src="auto", tgt="en", auto_langs=("ja",))
    history.say(alone, ("j1", only, "en"))
    history.answer(only, "j1", history.sent("j1", alone))
    history.jobs["j2"] = (alone, 1, "en", "<audio>")
    message = Utterance(history.session_of[alone], 1, False, "auto", "en", "<audio>", "pcm16", 16_000)
    history.send(alone, msgspec.structs.replace(message, auto_langs=("de",)), history.assign("j2", only))


def another_utterances_number(history: History, zh: int, _en: int, node: int) -> None:
    history.jobs["j1"] = (zh, 7, "en", "<audio>")
    message = Utterance(history.session_of[zh], 1, False, "zh", "en", "<audio>", "pcm16", 16_000)
    history.send(zh, message, history.assign("j1", node))


def the_name_of_a_running_job(history: History, zh: int, _en: int, node: int) -> None:
    history.say(zh, ("j1", node, "en"))
    history.attempts.clear()
    history.say(zh, ("j1", node, "en"))


def a_result_with_the_name_of_another_job(history: History, zh: int, en: int, node: int) -> None:
    history.say(zh, ("j1", node, "en"))
    to, result = history.sent("j1", en)
    history.answer(node, "j1", (to, msgspec.structs.replace(result, job_id="j9")))


def a_result_with_the_name_of_another_speaker(history: History, zh: int, en: int, node: int) -> None:
    history.say(zh, ("j1", node, "en"))
    to, result = history.sent("j1", en)
    history.answer(node, "j1", (to, msgspec.structs.replace(result, session_id="s9")))


def what_only_looks_like_a_result(history: History, zh: int, en: int, node: int) -> None:
    resembling = msgspec.defstruct("Resembling", TranslationResult.__struct_fields__)
    history.say(zh, ("j1", node, "en"))
    to, result = history.sent("j1", en)
    history.answer(node, "j1", (to, resembling(**msgspec.structs.asdict(result))))


def a_result_of_a_failure(history: History, zh: int, en: int, node: int) -> None:
    history.say(zh, ("j1", node, "en"))
    speaker, index, _, audio = history.jobs["j1"]
    failed = JobResult("j1", "n1", history.session_of[speaker], index, False, "", tts_audio=translated(audio, "en"))
    history.send(node, failed, history.sent("j1", en))


def a_node_that_nobody_knows(history: History, zh: int, en: int, node: int) -> None:
    history.say(zh, ("j1", 99, "en"))
    history.answer(node, "j1", history.sent("j1", en))


def a_job_that_waits_in_vain(history: History, zh: int, en: int, node: int) -> None:
    history.say(zh, ("j1", node, "en"))
    history.say(zh, ("j2", node, "en"))
    history.say(zh)
    history.answer(node, "j1", history.sent("j1", en))


ODDITIES = (
    spoken_for_another_language,
    features_for_once,
    other_languages_to_guess_from,
    another_utterances_number,
    the_name_of_a_running_job,
    a_result_with_the_name_of_another_job,
    a_result_with_the_name_of_another_speaker,
    what_only_looks_like_a_result,
    a_result_of_a_failure,
    a_node_that_nobody_knows,
    a_job_that_waits_in_vain,
)


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.__name__)
def test_one_odd_thing_after_what_is_usual_is_found_either_way(oddity):
    verdicts = []
    for shortcuts in WAYS:
        history = History(shortcuts=shortcuts, on_no_node="queue")
        node = history.node("n1")
        zh, en = history.room("zh", "en")
        history.say(zh, ("j0", node, "en"))
        history.answer(node, "j0", history.sent("j0", en))
        oddity(history, zh, en, node)
        verdicts.append(history.finish())
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].violation_count > 0
