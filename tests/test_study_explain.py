"""Explaining: nothing is changed by looking on, every line is true, and each says the rule that decided."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from simroom.scenario.load import load, loads
from simroom.scenario.schema import Scenario
from simroom.scheduler.port import SchedulerFactory
from simroom.sim.run import simulate
from simroom.study.dry_run import Job, UnaskableError, ask
from simroom.study.explain import (
    ByJob,
    ByMember,
    ByName,
    ByViolation,
    Explanation,
    Request,
    Slowest,
    explained,
    session_names,
)
from simroom.study.follower import Follower
from simroom.study.life import Life
from simroom.study.recorder import Recording
from simroom.study.stay import Stay
from simroom.study.trail import NODES_SHOWN, Trail
from simroom.study.words import span, stopwatch

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scenarios"
RULES = SCENARIOS / "rules"
SECOND = 1_000_000

ROOM: dict[str, Any] = {
    "simroom": 1,
    "name": "Small",
    "duration": "30s",
    "rooms": [
        {
            "name": "standup",
            "members": [
                {"name": "mei", "speaks": "zh", "preferred_lang": "zh"},
                {"name": "bo", "speaks": "zh", "preferred_lang": "zh"},
                {"name": "anna", "speaks": "en", "preferred_lang": "en"},
                {"name": "yuki", "speaks": "ja", "preferred_lang": "ja"},
                {"name": "mute", "speaks": "en", "preferred_lang": "none"},
            ],
            "speech": {"script": [{"speaker": "mei", "at": "5s", "length": "1s"}]},
        }
    ],
    "nodes": [{"name": "desk", "count": 3, "slots": 1, "service": "2s"}],
}


def scenario_of(**changes: Any) -> Scenario:
    return loads(json.dumps({**ROOM, **changes}), "scenario", Path())


def with_events(name: str, *events: dict[str, Any], **changes: Any) -> Scenario:
    room = json.loads(json.dumps(ROOM["rooms"][0]))
    next(member for member in room["members"] if member["name"] == name)["events"] = list(events)
    return scenario_of(rooms=[room], **changes)


def forgetful() -> SchedulerFactory:
    """The faulty scheduler that is shipped as an example."""
    sys.path.insert(0, str(ROOT / "docs" / "examples"))
    try:
        import own_scheduler  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    return own_scheduler.forgetful


def said_of(scenario: Scenario, request: Request, **options: Any) -> Explanation:
    return explained(scenario, request, seed=scenario.seed, **options)


def life_of(scenario: Scenario, request: Request, **options: Any) -> Life:
    said = said_of(scenario, request, **options)
    assert said.nothing is None
    assert said.life is not None
    return said.life


def stay_of(scenario: Scenario, name: str, at: float) -> Stay:
    stay = said_of(scenario, ByMember(name, round(at * SECOND))).stay
    assert stay is not None
    return stay


def lines(life: Life | Stay, about: str | None = None) -> list[str]:
    return [
        f"{stopwatch(step.at)} {step.what}" + (f" [{step.rule}]" if step.rule is not None else "")
        for step in life.steps
        if about is None or step.about.startswith(about)
    ]


def why_not(life: Life, language: str) -> dict[str, str]:
    return {one.name.rpartition("/")[2]: one.why for one in life.absences if one.language == language}


def trail_of(scenario: Scenario, speaker: str, index: int) -> Trail:
    follower = Follower(speaker, index=index, row=None, since=0)
    simulate(scenario, scheduler=Recording(follower=follower).around(_usual()))
    assert follower.trail is not None
    return follower.trail


def _usual() -> SchedulerFactory:
    from simroom.scheduler.scheduler import Scheduler  # noqa: PLC0415

    return Scheduler


# --- looking on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "overrides", "speaker"),
    [
        ("quickstart.yaml", (), "standup/mei"),
        ("rules/order-gap.yaml", (), "lecture/mei"),
        ("rules/ties-random.yaml", (), None),
        ("rules/least-connections.yaml", ("scheduler.policy=choices",), None),
        ("rules/no-node-queue.yaml", (), "talker-3"),
        ("rules/reconnect-grace.yaml", (), None),
    ],
)
def test_looking_on_changes_nothing(file: str, overrides: tuple[str, ...], speaker: str | None) -> None:
    scenario = load(SCENARIOS / file, overrides=overrides)
    alone = simulate(scenario)
    speaker = speaker or alone.ledger.sessions.names[alone.ledger.utterances()["speaker"][0]]
    said = said_of(scenario, ByName(speaker, 0))
    assert said.life is not None
    assert said.trace_hash == alone.trace_hash


def test_the_same_is_said_twice() -> None:
    scenario = load(SCENARIOS / "quickstart.yaml")
    assert said_of(scenario, Slowest()) == said_of(scenario, Slowest())


def test_latencies_are_those_of_the_parts() -> None:
    life = life_of(load(SCENARIOS / "quickstart.yaml"), ByName("standup/mei", 4))
    assert life.receipt_count == len(life.receipts) == 3
    for receipt in life.receipts:
        assert receipt.parts is not None
        assert sum(receipt.parts.values()) == receipt.latency == receipt.arrived_at - life.ended_at


def test_the_steps_are_in_order_of_time() -> None:
    life = life_of(load(RULES / "churn.yaml"), ByName("lively-2/changing", 2))
    instants = [step.at for step in life.steps]
    assert instants == sorted(instants)
    assert len(instants) > 15


# --- for whom --------------------------------------------------------------------------------------------------------


def test_it_is_told_for_whom_jobs_are_made_and_for_whom_not() -> None:
    told = lines(life_of(scenario_of(), ByName("standup/mei", 0)), "")
    assert told[:7] == [
        "00:05.000 mei begins to speak zh",
        "00:06.000 mei has spoken for 1.00 s: #0 goes out",
        "00:06.000 arrived after 0 µs, accepted; in standup there are 4 others",
        "00:06.000 job-1 into en for anna [fan_out: per_language]",
        "00:06.000 job-2 into ja for yuki [fan_out: per_language]",
        "00:06.000 none for bo: zh is what was spoken [same_language: skip]",
        "00:06.000 none for mute: no preferred_lang [who has no language gets nothing]",
    ]


def test_who_changed_language_before_the_sending_is_told_apart() -> None:
    scenario = with_events("anna", {"at": "7s", "change": {"preferred_lang": "ja"}})
    life = life_of(scenario, ByName("standup/mei", 0))
    assert "00:07.000 anna prefers ja from now on" in lines(life)
    assert why_not(life, "en")["anna"] == "prefers ja since 00:07.000"
    assert [receipt.recipient for receipt in life.receipts] == ["standup/anna", "standup/yuki"]
    assert [job.end for job in life.jobs] == ["no_recipient", "delivered"]
    assert lines(life, "en")[-1] == "00:08.000 ends as no recipient after 1 attempt [nobody is left to tell]"


def test_who_left_or_joined_later_is_told_apart() -> None:
    scenario = with_events("anna", {"at": "7s", "leave": {"for": "4s"}})
    why = why_not(life_of(scenario, ByName("standup/mei", 0)), "en")
    assert why == {
        "mei": "prefers zh",
        "bo": "prefers zh",
        "anna": "left at 00:07.000",
        "yuki": "prefers ja",
        "mute": "has no preferred_lang",
    }
    room = {**ROOM["rooms"][0]}
    room["members"] = [*room["members"], {"name": "late", "speaks": "en", "joins": "12s"}]
    why = why_not(life_of(scenario_of(rooms=[room]), ByName("standup/mei", 0)), "en")
    assert why["late"] == "joined later, at 00:12.000"


def test_what_is_kept_for_somebody_who_is_away_is_told() -> None:
    scenario = with_events("anna", {"at": "7s", "drop": {"for": "3s"}}, scheduler={"reconnect_grace": "5s"})
    told = lines(life_of(scenario, ByName("standup/mei", 0)))
    assert "00:07.000 anna lost the connection, and may come back within 5 s" in told
    assert "00:08.000 kept for anna, not connected at the moment [reconnect_grace: 5 s]" in told
    assert "00:10.000 sent to anna, who is back [what was kept goes out on return]" in told
    assert "00:10.000 anna has it, 4.00 s after the end of the speech" in told


# --- nodes -----------------------------------------------------------------------------------------------------------


def test_verdicts_are_as_they_were_before_the_placing() -> None:
    first, second = (
        step.verdicts for step in life_of(scenario_of(), ByName("standup/mei", 0)).steps if step.verdicts is not None
    )
    shown = [
        [(node.node_id, node.jobs, node.exclude_reason, node.chosen) for node in one.shown] for one in (first, second)
    ]
    assert shown == [
        [("desk-1", 0, None, True), ("desk-2", 0, None, False), ("desk-3", 0, None, False)],
        [("desk-1", 1, "CAPACITY_EXCEEDED", False), ("desk-2", 0, None, True), ("desk-3", 0, None, False)],
    ]
    assert (first.fit, first.reasons, first.tied_count) == (3, {}, 3)
    assert (second.fit, second.reasons, second.tied_count) == (2, {"CAPACITY_EXCEEDED": 1}, 2)


def test_the_rule_that_chose_the_node_is_said() -> None:
    placed = [line for line in lines(life_of(scenario_of(), ByName("standup/mei", 0))) if "attempt" in line]
    assert placed == [
        "00:06.000 attempt 1 goes to desk-1 [the fewest jobs, as 2 others; tie_break: rotate]",
        "00:06.000 attempt 1 goes to desk-2 [the fewest jobs, as 1 other; tie_break: rotate: the next after desk-1]",
    ]
    for file, rule in (
        ("sticky-session", "sticky: session: the last node of this session, and it passes every filter"),
        ("pairing", "paired with the speaker, and it passes every filter"),
    ):
        scenario = load(RULES / f"{file}.yaml")
        rules = {
            step.rule
            for index in range(3)
            for step in life_of(scenario, ByName(next(session_names(scenario)), index)).steps
        }
        assert rule in rules


def test_rotation_is_what_it_is_said_to_be() -> None:
    scenario = load(SCENARIOS / "quickstart.yaml")
    for index in range(6):
        for fact in trail_of(scenario, "standup/mei", index).facts:
            verdicts = getattr(fact, "verdicts", None)
            if verdicts is None or fact.after is None:
                continue
            order = [node.node_id for node in verdicts.shown]
            place = order.index(fact.after) + 1
            assert fact.node == next(node for node in (*order[place:], *order) if node in verdicts.tied)


def test_of_many_nodes_the_first_ones_are_shown_and_all_are_counted() -> None:
    life = life_of(load(RULES / "churn.yaml"), ByName("lively-2/changing", 2))
    placings = [step.verdicts for step in life.steps if step.verdicts is not None]
    assert len(placings) == 3
    for verdicts in placings:
        assert verdicts.nodes == 40 == verdicts.fit + sum(verdicts.reasons.values())
        assert len(verdicts.shown) == NODES_SHOWN
        assert sum(node.chosen for node in verdicts.shown) == 1


def test_time_outs_and_new_attempts_are_told_with_their_rules() -> None:
    scenario = load(RULES / "attempts.yaml")
    assert lines(life_of(scenario, ByName("to-english", 0)), "en") == [
        "00:02.000 attempt 1 goes to slow "
        "[the fewest jobs, as 1 other; tie_break: first: the first of them to register]",
        "00:07.000 attempt 1 on slow has had its time; until it answers it keeps its slot "
        "[job_timeout: 5 s; abandon_after: 60 s more]",
        "00:07.000 attempt 2 goes to fast [a new attempt prefers nodes never given the job; the fewest jobs]",
        "00:08.000 fast answers (attempt 2): worked 1.00 s from 00:07.000 (asr 1.00 s)",
        "00:08.000 sent to to-english [alone: to the speaker only]",
        "00:08.000 to-english has it, 6.00 s after the end of the speech",
        "00:22.000 slow answers: it counts for nothing [the first answer wins]",
    ]
    expired = lines(life_of(scenario, ByName("to-japanese", 0)), "ja")
    assert expired[4:7] == [
        "01:30.000 the speaker is told: JOB_TIMEOUT",
        "01:30.000 ends as expired after 2 attempts [max_attempts: 2: all of them timed out]",
        "01:40.000 slow answers: it counts for nothing [its job has ended]",
    ]


def test_a_lost_node_and_what_follows_from_it_are_told() -> None:
    told = lines(life_of(load(RULES / "node-loss.yaml"), ByName("to-japanese", 0)), "ja")
    assert told[1:] == [
        "00:10.000 leaving is offline: its connection has ended "
        "[a lost node's jobs are tried again at once, while attempts are left]",
        "00:10.000 no node can take it [on_no_node: reject]",
        "00:10.000 the speaker is told: NO_AVAILABLE_NODE, MODEL_NOT_AVAILABLE",
        "00:10.000 ends as failed after 1 attempt [no attempt left, or a failure that another node would not mend]",
    ]


def test_a_job_that_waits_says_what_it_waits_for() -> None:
    life = life_of(load(RULES / "no-node-queue.yaml"), ByName("talker-3", 3))
    waits = next(step for step in life.steps if step.verdicts is not None)
    assert (waits.what, waits.rule) == ("no node can take it now", "on_no_node: queue: it waits 10 s at most")
    assert waits.verdicts is not None
    assert waits.verdicts.reasons == {"CAPACITY_EXCEEDED": 2}
    assert life.steps[-1].rule == "waiting_time_max: 10 s"


# --- order -----------------------------------------------------------------------------------------------------------


def test_whom_a_result_is_held_for_and_what_releases_it() -> None:
    scenario = load(RULES / "order-gap.yaml")
    held = lines(life_of(scenario, ByName("lecture/mei", 5)), "ja")
    assert held[2] == "00:13.930 held: older and without a result: job-10 of #4 [ordering: gap, 1 s at most]"
    assert held[3].startswith(
        "00:14.930 released after 1.00 s: it is held no longer, and older ones lose their turn; sent to yuki"
    )
    passed = lines(life_of(scenario, ByName("lecture/mei", 4)), "ja")
    assert passed[1] == "00:14.930 its turn is given up for job-12 of #5 [ordering: gap: held for 1 s, then no more]"
    assert passed[-1] == "00:20.156 ends as dropped late after 1 attempt [late: drop: its turn had been given up]"


def test_under_strict_order_an_older_result_is_what_releases() -> None:
    scenario = load(RULES / "order-strict.yaml")
    run = simulate(scenario)
    jobs = run.ledger.jobs()
    held = int(((jobs["ended_at"] - jobs["answered_at"]) > 0).argmax())
    row = int(jobs["utterance"][held])
    utterances = run.ledger.utterances()
    speaker = run.ledger.sessions.names[utterances["speaker"][row]]
    told = lines(life_of(scenario, ByName(speaker, int(utterances["utterance_index"][row]))), "ja")
    waited = span(int(jobs["ended_at"][held] - jobs["answered_at"][held]))
    assert any("held: older and without a result: job-" in line and "[ordering: strict]" in line for line in told)
    assert any(f"released after {waited}: job-" in line and "has its result now" in line for line in told)


# --- what was asked for ----------------------------------------------------------------------------------------------


def test_a_violation_leads_to_the_life_of_what_it_is_about() -> None:
    scenario = load(SCENARIOS / "quickstart.yaml")
    said = said_of(scenario, ByViolation(1), scheduler=forgetful())
    violation, life = said.violation, said.life
    assert violation is not None
    assert life is not None
    assert (life.speaker, life.utterance_index) == (violation.speaker, violation.utterance_index)
    assert [job.language for job in life.jobs] == [violation.language]
    wrong = [step for step in life.steps if step.wrong]
    assert [step.what for step in wrong] == [f"I1 (recipients) is broken: {violation.what}"]
    assert [one.name for one in life.absences if one.wrong] == list(violation.recipients)
    assert "this scheduler has no dry run that could be asked why" in {step.rule for step in life.steps}


def test_a_broken_scheduler_of_the_scenarios_own_is_run_again() -> None:
    scenario = load(SCENARIOS / "quickstart.yaml", overrides=("bug=only_first_match_gets_it",))
    said = said_of(scenario, ByViolation(1))
    assert said.trace_hash == simulate(scenario).trace_hash
    assert said.violation is not None
    assert said.violation.invariant == "I1"


def test_a_job_is_found_by_its_id() -> None:
    scenario = load(SCENARIOS / "quickstart.yaml")
    life = life_of(scenario, ByJob("job-62"))
    assert (life.speaker, life.utterance_index, [job.label for job in life.jobs]) == ("standup/mei", 4, ["ja job-62"])
    assert life.notes == ("its other jobs are not told: en job-61",)
    nothing = said_of(scenario, ByJob("job-9999")).nothing
    assert nothing == "no such job was made: there were 137 jobs, the last one job-137"


def test_the_slowest_delivery_is_the_slowest() -> None:
    scenario = load(SCENARIOS / "quickstart.yaml")
    life = life_of(scenario, Slowest())
    run = simulate(scenario)
    deliveries, jobs, utterances = run.ledger.deliveries(), run.ledger.jobs(), run.ledger.utterances()
    ended = utterances["ended_at"][jobs["utterance"][deliveries["job"]]]
    assert max(receipt.latency for receipt in life.receipts) == (deliveries["arrived_at"] - ended).max()


def test_a_number_that_comes_again_in_a_new_session_is_told_apart() -> None:
    speech = {"script": [{"at": "5s", "length": "1s"}, {"at": "12s", "length": "1s"}]}
    session = {"name": "solo", "src_lang": "zh", "tgt_lang": "en", "speech": speech}
    session["events"] = [{"at": "9s", "drop": {"for": "1s"}}]
    scenario = scenario_of(rooms=[], sessions=[session])
    first = life_of(scenario, ByName("solo", 0))
    assert first.started_at == 5 * SECOND
    assert first.notes == ("1 other utterance of solo had the number 0, in another session: at 00:13.000",)
    assert life_of(scenario, ByName("solo", 0, 9 * SECOND)).started_at == 12 * SECOND


def test_an_utterance_that_was_never_spoken_is_not_found() -> None:
    scenario = scenario_of()
    assert said_of(scenario, ByName("standup/bo", 0)).nothing == "standup/bo has said nothing"
    said = said_of(scenario, ByName("standup/mei", 3))
    assert said.nothing == "standup/mei has said no #3; the numbers go from #0 to #0"


def test_somebody_at_an_instant_is_where_they_were_then() -> None:
    scenario = with_events("anna", {"at": "7s", "leave": {"for": "10s"}})
    before, away = stay_of(scenario, "standup/anna", 6.5), stay_of(scenario, "standup/anna", 8)
    assert (before.room, before.room_size, before.lang) == ("standup", 5, "en")
    assert (away.room, away.room_size, away.in_session, away.connected) == (None, 0, True, True)
    assert lines(before) == [
        "00:06.000 not for them any more: they left the room, or en, before it was sent [membership: live]",
        "00:07.000 left the room",
    ]


def test_what_somebody_received_and_what_not_is_told_with_the_reason() -> None:
    scenario = scenario_of()
    assert lines(stay_of(scenario, "standup/anna", 7)) == [
        "00:06.000 received in en at 00:08.000, 2.00 s after the speech"
    ]
    assert lines(stay_of(scenario, "standup/bo", 7)) == [
        "00:06.000 not for them: zh is what was spoken [same_language: skip]"
    ]
    assert lines(stay_of(scenario, "standup/mute", 7)) == [
        "00:06.000 not for them: no preferred_lang [who has no language gets nothing]"
    ]
    assert lines(stay_of(scenario, "standup/mei", 7)) == [
        "00:06.000 their own, made 2 jobs: en, ja; nothing of it was for them"
    ]
    assert lines(stay_of(scenario, "standup/mei", 25)) == []


def test_others_who_come_and_go_around_an_instant_are_told() -> None:
    scenario = with_events(
        "anna", {"at": "7s", "leave": {"for": "3s"}}, {"at": "25s", "change": {"preferred_lang": "ja"}}
    )
    told = lines(stay_of(scenario, "standup/yuki", 8), "anna")
    assert told == ["00:07.000 left the room", "00:10.000 joined, and prefers en"]


def test_a_restarted_scheduler_is_told_of() -> None:
    scenario = scenario_of(script=[{"at": "7s", "restart_scheduler": {}}])
    told = lines(life_of(scenario, ByName("standup/mei", 0)), "en")
    assert "00:07.000 the scheduler restarts, without its memory" in told
    assert told[-1].startswith("00:07.000 ends as lost after 1 attempt")


def test_what_is_kept_of_one_utterance_does_not_grow_with_the_run() -> None:
    short, long = (
        trail_of(load(RULES / "churn.yaml", overrides=(f"duration={length}",)), "lively-2/changing", 2)
        for length in ("80s", "3min")
    )
    assert len(short.facts) == len(long.facts) < 40


# --- the dry run -----------------------------------------------------------------------------------------------------


def asked(at: float, src_lang: str | None = "zh", tgt_lang: str | None = "en", **more: Any) -> Job:
    given = {"features": None, "session": None, "room": None, **more}
    return Job(at=round(at * SECOND), src_lang=src_lang, tgt_lang=tgt_lang, **given)


def test_a_dry_run_answers_for_its_instant() -> None:
    scenario = scenario_of()
    before, during, after = (ask(scenario, asked(at), seed=1) for at in (5.9, 6, 8))
    assert [node.jobs for node in before.nodes] == [0, 0, 0] == [node.jobs for node in after.nodes]
    assert [(node.jobs, node.exclude_reason) for node in during.nodes] == [
        (1, "CAPACITY_EXCEEDED"),
        (1, "CAPACITY_EXCEEDED"),
        (0, None),
    ]
    assert (before.chosen, during.chosen) == ("desk-1", "desk-3")
    assert during.why == "the only one that fits"
    assert after.why == "the fewest jobs, as 2 others; tie_break: rotate: the next after desk-2"


def test_a_dry_run_says_what_the_speaker_would_be_told() -> None:
    answer = ask(scenario_of(), asked(6, tgt_lang="ko"), seed=1)
    assert (answer.chosen, answer.refusal, answer.why) == (None, "MODEL_NOT_AVAILABLE", "on_no_node: reject")


def test_a_dry_run_for_a_session_takes_its_languages_and_its_paired_node() -> None:
    scenario = load(RULES / "pairing.yaml")
    name = next(session_names(scenario))
    answer = ask(scenario, asked(20, None, None, session=name), seed=1)
    assert (answer.src_lang, answer.tgt_lang, answer.chosen) == ("zh", "en", "desk")
    assert answer.why == "paired with the speaker, and it passes every filter"
    assert sum(node.chosen for node in answer.nodes) == 1


def test_a_dry_run_for_a_room_minds_its_sticky_node() -> None:
    scenario = load(RULES / "sticky-room.yaml")
    stuck = ask(scenario, asked(30, room="first"), seed=1)
    assert stuck.why == "sticky: room: the last node of this room, and it passes every filter"
    assert "sticky" not in ask(scenario, asked(30), seed=1).why


def test_a_dry_run_that_chance_would_decide_says_so() -> None:
    answer = ask(load(RULES / "ties-random.yaml"), asked(1), seed=1)
    assert answer.notes == (f"chance decides among the 3 with the fewest jobs; {answer.chosen} is only one of them",)


def test_a_scheduler_without_a_dry_run_cannot_be_asked() -> None:
    with pytest.raises(UnaskableError, match="no dry run"):
        ask(scenario_of(), asked(6), seed=1, scheduler=forgetful())
