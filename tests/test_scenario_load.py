import math
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simroom.scenario.distributions import (
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Gamma,
    Hyperexponential,
    Lognormal,
    Uniform,
)
from simroom.scenario.languages import canonical, needed_pairs, pairs_of
from simroom.scenario.load import load, loads
from simroom.scenario.nodes import (
    BatchingGpu,
    BatchService,
    SerialGpu,
    SharedGpu,
    StagedService,
    SteadyLoad,
    StepsLoad,
    TraceLoad,
    WaveLoad,
    WholeService,
)
from simroom.scenario.people import Close, Drop, Leave
from simroom.scenario.profiles import PROFILES
from simroom.scenario.schema import Scenario
from simroom.scenario.section import NUMBERS, SchedulerSection
from simroom.scenario.speech import (
    Arrivals,
    GammaArrivals,
    Meeting,
    Poisson,
    Regular,
    Script,
    Silent,
    Trace,
    TurnTaking,
)
from simroom.scheduler.messages import Features
from simroom.scheduler.settings import Settings

BROKEN = Path(__file__).parent / "broken"
SECOND = 1_000_000

HEAD = "simroom: 1\nname: x\nduration: 10min\n"
NODES = "nodes: [{name: n, service: 1s}]\n"
PEOPLE = "sessions: [{name: s, src_lang: zh, tgt_lang: en, speech: none}]\n"

FULL = """\
simroom: 1
name: Everything there is
description: |
  Two lines of text,
  and a colon: here.
tags: [room, "no"]
seed: 7
duration: 10min
warm_up: 1min
lead_in: 2min
drain: 0
rooms:
  - name: standup
    count: 20
    members:
      - {count: 2, speaks: zh}
      - {count: 2, speaks: en, talks: 2, auto_langs: [en, zh], display_name: "=1+1", pairing_code: p}
      - name: late
        speaks: ja
        preferred_lang: none
        tgt_lang: zh-Hans
        joins: {uniform: {from: 0, to: 2min}}
        features: {emotion_detection: true, speech_rate_control: false}
        events:
          - {at: 5min, change: {preferred_lang: en}}
          - {at: 6min, change: {preferred_lang: none}}
          - {at: {uniform: {from: 1min, to: 8min}}, drop: {for: 500ms}}
          - {every: {exponential: {mean: 4min}}, leave: 20s}
          - {at: 9min, leave: {}}
          - {at: 3min, close: }
          - {at: 3min, drop: {}}
    speech: {turn_taking: {utterance: {lognormal: {mean: 4s, cv: 1.5}}, longest: none, silence: 0.2, overlap: 0}}
  - name: ami
    count: 2
    members: [{name: listener, preferred_lang: ja}]
    speech: {meeting: meeting.rttm, from: 500ms, to: 4s, shift: {uniform: {from: 0s, to: 10s}}}
    speakers: {ann: {speaks: "no", joins: 1s}, rest: {speaks: zh, events: [{at: 1min, leave: {}}]}}
  - name: said
    members: [{speaks: zh}, {speaks: auto, preferred_lang: en}]
    speech: {script: [{at: 2s, length: 1s, speaker: m1}, {at: 0, length: 1.5s, speaker: m2}], longest: 1s}
  - {name: default, members: [{speaks: zh}, {preferred_lang: en, talks: 0}], speech: turn_taking}
  - {name: quiet, members: [{speaks: zh, tgt_lang: en}], speech: none}
sessions:
  - {name: solo, count: 10, src_lang: zh, tgt_lang: en, speech: {arrivals: {poisson: 6/min}}}
  - {name: bursty, src_lang: auto, tgt_lang: en, speech: {arrivals: {gamma: {rate: 1/s, cv: 3}}, utterance: 2s}}
  - {name: steady, src_lang: zh, tgt_lang: en, speech: {arrivals: {constant: 10s}}, joins: 1s}
  - name: trace
    src_lang: zh
    tgt_lang: en
    speech: {arrivals: {trace: {file: arrivals.csv, scale: 2, column: TIMESTAMP}}}
  - {name: line, src_lang: zh, tgt_lang: en, speech: {script: [{at: 1s, length: 1s}]}, events: [{at: 1s, drop: 1s}]}
nodes:
  - {name: desktop, count: 40, profile: desktop-2026, slots: 4, gpu: {background: 10%}, queue_count_max: null}
  - {name: whisper, profile: batching-whisper, gpu: {cap: 16}, languages: [zh, en]}
  - {name: t4, profile: shared-t4, gpu: {background: {wave: {mean: 20%, amplitude: 10%, period: 1min}}}, cold_start: 3s}
  - name: odd
    gpu: {streams: 2, background: {steps: [{at: 0, load: 0}, {at: 1min, load: 50%}]}}
    service: {asr: {fixed: 100ms, rtf: 0.16, spread: 0.3}}
    cold_start: {tts: {constant: 5s}}
    warm_up: {gamma: {mean: 10s, cv: 0.5}}
    starts: 1s
    leaves: {exponential: {mean: 5min}}
    drains: 8min
    heartbeat: {every: 10s}
    pairs: [zh>en, en > zh]
    modules: [voice_cloning]
    public: false
    gpu_count: 2
  - {name: blind, gpu: none, service: {empirical: [1s, 2s, 2s]}}
  - {name: hyper, service: {hyperexponential: {mean: 1s, cv: 2}}}
network: {session: {up: {lognormal: {median: 40ms, p99: 200ms}}}, node: {delay: 5ms}}
playback: {ratio: 1.25}
scheduler: {resource_threshold: 85%, room_size_max: 9, ordering: strict, pairing: {p: desktop-7}}
expect:
  - violations == 0
  - "delivery_latency{language=ja}.p95 < 6s"
  - " deliveries.missing == 0 "
"""


def scenario(text: str, *overrides: str) -> Scenario:
    return loads(text, "f.yaml", BROKEN, overrides=overrides)


@pytest.fixture(scope="module")
def full() -> Scenario:
    return scenario(FULL)


def test_the_smallest_scenario_has_the_documented_defaults() -> None:
    small = scenario(HEAD + PEOPLE + NODES)
    assert (small.seed, small.warm_up, small.lead_in, small.drain) == (1, 0, 90 * SECOND, 300 * SECOND)
    assert small.scheduler.settings() == Settings()
    assert (small.network.session.uplink, small.network.node.downlink) == (Constant(span=0), Constant(span=0)) or (
        small.network.session.uplink.mean == small.network.node.downlink.mean == 0
    )
    assert small.playback.ratio == 1.0
    assert small.nodes[0].heartbeat.every == 15 * SECOND
    assert isinstance(small.nodes[0].gpu, SerialGpu)
    assert small.expect == ()


def test_the_roster_names_everybody_in_order(full: Scenario) -> None:
    room = full.rooms[0]
    assert room.names()[::19] == ("standup-1", "standup-20")
    assert [member.name for member in room.roster()] == ["m1", "m2", "m3", "m4", "late"]
    assert [member.talks for member in room.roster()] == [1, 1, 2, 2, 1]
    assert all(member.count == 1 for member in room.roster())
    assert room.member_count == 5
    assert full.rooms[4].names() == ("quiet",)


def test_a_named_group_with_a_count_is_numbered_and_default_names_count_everybody() -> None:
    text = HEAD + NODES + "rooms: [{name: r, members: [{speaks: zh}, {name: g, count: 2, speaks: en}, {speaks: ja}]}]\n"
    assert [member.name for member in scenario(text).rooms[0].roster()] == ["m1", "g-1", "g-2", "m4"]


def test_speaks_and_preferred_lang_stand_for_each_other(full: Scenario) -> None:
    zh, _, en, _, late = full.rooms[0].roster()
    assert (zh.speaks, zh.preferred_lang, zh.tgt_lang) == ("zh", "zh", "en")
    assert (en.speaks, en.preferred_lang, en.tgt_lang) == ("en", "en", "zh")
    assert (late.speaks, late.preferred_lang, late.tgt_lang) == ("ja", None, "zh-Hans")
    listener = full.rooms[3].roster()[1]
    assert (listener.speaks, listener.preferred_lang, listener.tgt_lang) == ("en", "en", "zh")
    auto = full.rooms[2].roster()[1]
    assert (auto.speaks, auto.preferred_lang, auto.tgt_lang) == ("auto", "en", "en")


def test_a_meetings_speakers_come_from_its_file_and_members_beside_them_only_listen(full: Scenario) -> None:
    room = full.rooms[1]
    assert list(room.speakers or ()) == ["ann", "bob"]
    ann, bob, listener = room.roster()
    assert (ann.name, ann.speaks, ann.talks, ann.joins) == ("ann", "no", 1, Constant(span="1s"))
    assert (bob.name, bob.speaks, len(bob.events)) == ("bob", "zh", 1)
    assert (listener.name, listener.talks, listener.preferred_lang) == ("listener", 0, "ja")


def test_events_say_what_happens_and_when(full: Scenario) -> None:
    events = full.rooms[0].roster()[-1].events
    assert [type(event.action).__name__ for event in events] == [
        "Change", "Change", "Drop", "Leave", "Leave", "Close", "Drop",
    ]  # fmt: skip
    assert events[0].at == Constant(span="5min")
    assert [event.change.preferred_lang for event in events[:2] if event.change] == ["en", None]
    assert isinstance(events[2].at, Uniform)
    assert events[2].action == Drop.model_validate({"for": "500ms"})
    assert events[3].at is None
    assert isinstance(events[3].every, Exponential)
    assert events[3].action == Leave.model_validate({"for": "20s"})
    assert events[4].action == Leave()
    assert events[5].action == Close()
    assert events[6].action == Drop()


def test_each_kind_of_speech_is_its_own_class(full: Scenario) -> None:
    kinds = [type(room.speech) for room in full.rooms] + [type(group.speech) for group in full.sessions]
    assert kinds == [TurnTaking, Meeting, Script, TurnTaking, Silent, Arrivals, Arrivals, Arrivals, Arrivals, Script]
    arrivals = [group.speech.arrivals for group in full.sessions if isinstance(group.speech, Arrivals)]
    assert [type(one) for one in arrivals] == [Poisson, GammaArrivals, Regular, Trace]
    turns = full.rooms[3].speech
    assert isinstance(turns, TurnTaking)
    assert (turns.silence, turns.overlap, turns.longest) == (0.17, 0.11, 10 * SECOND)
    assert turns.utterance.mean == pytest.approx(4.1 * SECOND, rel=0.01)
    first = full.rooms[0].speech
    assert isinstance(first, TurnTaking)
    assert first.longest is None
    meeting = full.rooms[1].speech
    assert isinstance(meeting, Meeting)
    assert (meeting.meeting, meeting.start, meeting.end) == ("meeting.rttm", 500_000, 4 * SECOND)
    assert full.path(meeting.meeting) == BROKEN / "meeting.rttm"
    script = full.rooms[2].speech
    assert isinstance(script, Script)
    assert [(line.at, line.length, line.speaker) for line in script.script] == [
        (2 * SECOND, SECOND, "m1"),
        (0, 1_500_000, "m2"),
    ]


def test_a_nodes_own_values_go_on_top_of_its_profile(full: Scenario) -> None:
    desktop, whisper, t4, odd, blind, hyper = full.nodes
    assert desktop.gpu == SerialGpu(streams=1, background=SteadyLoad(load="10%"))
    assert isinstance(desktop.service, StagedService)
    assert desktop.service.asr.rtf == 0.16
    assert desktop.queue_count_max is None
    assert desktop.cold_start.tts.mean == 5.7 * SECOND
    assert (desktop.cpu, desktop.memory) == (0.375, 0.408)
    assert whisper.gpu == BatchingGpu(cap=16)
    assert whisper.service == BatchService(fixed="87ms", per_job="19.3ms")
    assert whisper.slots == 64
    assert isinstance(t4.gpu, SharedGpu)
    assert isinstance(t4.gpu.background, WaveLoad)
    assert (t4.cold_start.asr.mean, t4.cold_start.tts.mean) == (3 * SECOND, 0)
    assert isinstance(odd.gpu, SerialGpu)
    assert isinstance(odd.gpu.background, StepsLoad)
    assert [(step.at, step.load) for step in odd.gpu.background.steps] == [(0, 0.0), (60 * SECOND, 0.5)]
    assert (odd.pairs, odd.modules, odd.public) == (("zh>en", "en>zh"), ("voice_cloning",), False)
    assert blind.gpu is None
    assert isinstance(blind.service, WholeService)
    assert isinstance(blind.service.span, Empirical)
    assert isinstance(hyper.service, WholeService)
    assert isinstance(hyper.service.span, Hyperexponential)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_is_complete_by_itself_and_says_where_it_is_from(profile: str) -> None:
    node = scenario(HEAD + PEOPLE + f"nodes: [{{name: n, profile: {profile}}}]\n").nodes[0]
    assert node.profile == profile
    assert len(PROFILES[profile].description) > 100


@pytest.mark.parametrize(
    ("own", "asr", "nmt"),
    [
        ("{asr: {rtf: 0.5}}", (100_000, 0.5), (1_100_000, 0.1)),
        ("{nmt: {fixed: 0s}}", (100_000, 0.16), (0, 0.1)),
    ],
)
def test_one_figure_of_a_profile_can_be_changed_alone(own: str, asr: tuple[int, float], nmt: tuple[int, float]) -> None:
    service = (
        scenario(HEAD + PEOPLE + f"nodes: [{{name: n, profile: desktop-2026, service: {own}}}]\n").nodes[0].service
    )
    assert isinstance(service, StagedService)
    assert (service.asr.fixed, service.asr.rtf) == asr
    assert (service.nmt.fixed, service.nmt.rtf) == nmt


def test_another_kind_of_service_or_gpu_replaces_the_profiles() -> None:
    text = (
        HEAD + PEOPLE + "nodes: [{name: n, profile: desktop-2026, service: {exponential: {mean: 1s}}, gpu: shared}]\n"
    )
    node = scenario(text).nodes[0]
    assert isinstance(node.service, WholeService)
    assert isinstance(node.gpu, SharedGpu)


@pytest.mark.parametrize(
    ("text", "kind", "mean"),
    [
        ("250ms", Constant, 250_000),
        ("0", Constant, 0),
        ("{constant: 1s}", Constant, 1_000_000),
        ("{uniform: {from: 1s, to: 3s}}", Uniform, 2_000_000),
        ("{exponential: {mean: 600ms}}", Exponential, 600_000),
        ("{lognormal: {median: 1s, sigma: 0}}", Lognormal, 1_000_000),
        ("{lognormal: {median: 1s, sigma: 1}}", Lognormal, 1_000_000 * math.exp(0.5)),
        ("{lognormal: {mean: 4s, cv: 1.5}}", Lognormal, 4_000_000),
        ("{lognormal: {mean: 4s, p95: 10s}}", Lognormal, 4_000_000),
        ("{gamma: {mean: 2s, cv: .5}}", Gamma, 2_000_000),
        ("{hyperexponential: {mean: 2s, cv: 2}}", Hyperexponential, 2_000_000),
        ("{empirical: [1s, 2s, 6s]}", Empirical, 3_000_000),
    ],
)
def test_each_distribution_has_its_mean(text: str, kind: type, mean: float) -> None:
    service = scenario(HEAD + PEOPLE + f"nodes: [{{name: n, service: {text}}}]\n").nodes[0].service
    assert isinstance(service, WholeService)
    assert isinstance(service.span, kind)
    assert service.span.mean == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize(("key", "quantile"), [("p95", 1.6448536269514722), ("p99", 2.3263478740408408)])
@pytest.mark.parametrize(("centre", "tail"), [("median: 40ms", 200_000), ("mean: 60ms", 200_000)])
def test_a_lognormals_tail_is_where_it_was_said_to_be(key: str, quantile: float, centre: str, tail: int) -> None:
    text = f"network: {{node: {{delay: {{lognormal: {{{centre}, {key}: 200ms}}}}}}}}\n"
    delay: Distribution = scenario(HEAD + PEOPLE + NODES + text).network.node.uplink
    assert isinstance(delay, Lognormal)
    assert math.exp(delay.mu + quantile * delay.sigma) == pytest.approx(tail, rel=1e-4)


def test_up_and_down_may_differ(full: Scenario) -> None:
    assert isinstance(full.network.session.uplink, Lognormal)
    assert full.network.session.downlink.mean == 0
    assert full.network.node.uplink.mean == full.network.node.downlink.mean == 5_000


def test_norwegian_is_a_language_however_it_is_written() -> None:
    for word in ("no", "NO", '"no"'):
        text = f"%YAML 1.1\n---\n{HEAD}{NODES}rooms: [{{name: r, members: [{{speaks: {word}}}, {{speaks: en}}]}}]\n"
        assert scenario(text).rooms[0].roster()[0].speaks == word.strip('"')


# --- the scheduler section ---------------------------------------------------------------------------------------


def test_the_scheduler_section_has_exactly_the_settings_with_their_defaults() -> None:
    assert tuple(SchedulerSection.model_fields) == Settings.__struct_fields__
    assert SchedulerSection().settings() == Settings()
    assert all(field.description for field in SchedulerSection.model_fields.values())


def test_each_setting_that_is_no_choice_of_words_has_a_way_to_be_written() -> None:
    defaults = Settings()
    numbers = {name for name in Settings.__struct_fields__ if not isinstance(getattr(defaults, name), (str, bool))}
    assert numbers == set(NUMBERS)


def test_settings_arrive_in_the_schedulers_own_units(full: Scenario) -> None:
    settings = full.scheduler.settings()
    assert settings.resource_threshold == 0.85
    assert settings.room_size_max == 9
    assert settings.ordering == "strict"
    assert settings.pairing == {"p": "desktop-7"}
    assert scenario(HEAD + PEOPLE + NODES, "scheduler.max_hold=1.5s").scheduler.settings().max_hold == 1_500_000


def test_features_are_those_of_the_protocol(full: Scenario) -> None:
    features = full.rooms[0].roster()[-1].features
    assert tuple(type(features).model_fields) == Features.__struct_fields__
    assert features.message() == Features(emotion_detection=True)
    assert features.wanted() == ("emotion_detection",)


# --- pairs -------------------------------------------------------------------------------------------------------


def test_a_node_that_names_no_languages_translates_every_pair_that_can_come_up() -> None:
    text = (
        HEAD
        + NODES
        + (
            "rooms: [{name: r, members: [{speaks: EN}, "
            "{speaks: zh-cn, events: [{at: 1s, change: {preferred_lang: ja}}]}]}]\n"
            "sessions: [{name: s, src_lang: de, tgt_lang: fr, speech: none}]\n"
        )
    )
    made = scenario(text)
    assert needed_pairs(made) == (("de", "fr"), ("en", "ja"), ("en", "zh-CN"), ("zh-CN", "en"), ("zh-CN", "ja"))
    assert pairs_of(made, made.nodes[0]) == needed_pairs(made)
    primary = scenario(text, "scheduler.language_match=primary")
    assert ("zh", "en") in needed_pairs(primary)


def test_a_source_of_auto_may_be_any_language_of_the_scenario_or_one_of_those_it_names() -> None:
    text = (
        HEAD
        + NODES
        + "sessions:\n- {name: s, src_lang: auto, tgt_lang: fr, speech: none}\n"
        + "- {name: t, src_lang: de, tgt_lang: en, speech: none}\n"
    )
    assert needed_pairs(scenario(text)) == (("de", "en"), ("de", "fr"), ("en", "fr"))
    assert needed_pairs(scenario(text, "sessions.s.auto_langs=[it]")) == (("de", "en"), ("it", "fr"))


def test_nodes_can_name_pairs_or_languages(full: Scenario) -> None:
    _, whisper, _, odd, *_ = full.nodes
    assert pairs_of(full, whisper) == (("en", "zh"), ("zh", "en"))
    assert pairs_of(full, odd) == (("en", "zh"), ("zh", "en"))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("ZH", "zh"), ("zh-cn", "zh-CN"), ("zh-hans-cn", "zh-Hans-CN"), ("de-1996", "de-1996"), ("en-x-US", "en-x-us")],
)
def test_tags_are_written_as_bcp_47_does(tag: str, expected: str) -> None:
    assert canonical(tag) == expected


# --- overrides ---------------------------------------------------------------------------------------------------


def test_overrides_address_items_by_name_or_position_and_make_what_is_missing() -> None:
    changed = scenario(
        FULL,
        "rooms.standup.count=30",
        "rooms.1.count=5",
        "rooms.standup.members.late.talks=3",
        "scheduler.max_hold=1s",
        "network.session={delay: 1ms}",
        "seed=8",
        "seed=9",
        'name="seed=1: a=b"',
        "description=",
        "nodes.desktop.gpu.background=20%",
    )
    assert [room.count for room in changed.rooms[:2]] == [30, 5]
    assert changed.rooms[0].roster()[-1].talks == 3
    assert changed.scheduler.settings().max_hold == SECOND
    assert changed.scheduler.settings().ordering == "strict"
    assert changed.network.session.downlink.mean == 1_000
    assert (changed.seed, changed.name, changed.description) == (9, "seed=1: a=b", None)
    assert changed.nodes[0].gpu is not None
    assert changed.nodes[0].gpu.background == SteadyLoad(load="20%")


def test_an_override_can_make_a_section_that_the_file_does_not_have() -> None:
    changed = scenario(HEAD + PEOPLE + NODES, "scheduler.ordering=none", "expect=[violations == 0]")
    assert changed.scheduler.settings().ordering == "none"
    assert [(one.text, one.line, one.column) for one in changed.expect] == [("violations == 0", 0, 0)]


# --- effective form ----------------------------------------------------------------------------------------------


def test_the_effective_form_loads_to_the_same_scenario_again(full: Scenario) -> None:
    text = full.effective()
    again = loads(text, "other.yaml", BROKEN)
    assert again == full
    assert again.effective() == text
    assert again.digest == full.digest
    assert again.source == "other.yaml"


def test_the_effective_form_says_defaults_with_their_units(full: Scenario) -> None:
    text = full.effective()
    for line in ("  job_timeout: 30s", "  max_attempts: 2", "lead_in: 2min", "drain: 0s", 'tags: [room, "no"]'):
        assert line in text.splitlines()
    assert "{at: {uniform: {from: 1min, to: 8min}}, drop: {for: 500ms}}" in text
    assert "kind" not in text


def test_the_effective_form_can_be_written_to_another_folder(full: Scenario, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "run"
    folder.mkdir(parents=True)
    (folder / "scenario.yaml").write_text(full.effective(folder), encoding="utf-8")
    again = load(folder / "scenario.yaml")
    assert [room.roster() for room in again.rooms] == [room.roster() for room in full.rooms]
    assert again.path(again.rooms[1].speech.meeting).samefile(BROKEN / "meeting.rttm")  # type: ignore[union-attr]


def test_equal_scenarios_have_equal_digests_and_every_change_shows(full: Scenario) -> None:
    assert scenario("# a comment\n" + FULL.replace("30min", "1800s")).digest == full.digest
    assert scenario(FULL, "seed=8").digest != full.digest
    assert scenario(FULL, "rooms.standup.members.0.talks=2").digest != full.digest


def test_the_digest_follows_the_content_of_the_files_referred_to(tmp_path: Path) -> None:
    for name in ("meeting.rttm", "arrivals.csv"):
        shutil.copy(BROKEN / name, tmp_path / name)
    before = loads(FULL, "f.yaml", tmp_path).digest
    assert before == scenario(FULL).digest
    with (tmp_path / "meeting.rttm").open("a", encoding="utf-8") as file:
        file.write("SPEAKER m 1 5.0 1.0 <NA> <NA> ann <NA> <NA>\n")
    assert loads(FULL, "f.yaml", tmp_path).digest != before


spans = st.sampled_from(["0s", "40us", "1.5s", "250ms", "7min"])
positive = st.sampled_from(["40us", "1.5s", "250ms", "7min"])
distributions = st.one_of(
    spans,
    st.builds("{{uniform: {{from: 0, to: {}}}}}".format, spans),
    st.builds("{{exponential: {{mean: {}}}}}".format, positive),
    st.builds("{{lognormal: {{{}: {}, {}: {}}}}}".format, st.sampled_from(["median", "mean"]), positive,
              st.sampled_from(["sigma", "cv"]), st.floats(0, 3)),
    st.builds("{{gamma: {{mean: {}, cv: {}}}}}".format, positive, st.floats(0.01, 9)),
    st.builds("{{empirical: [{}, {}]}}".format, spans, spans),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip),
    distributions,
    st.floats(0, 1),
    st.integers(1, 10**6).map(lambda number: f"{number}/min"),
    st.floats(0, 100),
)
def test_any_scenario_survives_its_effective_form(
    name: str, distribution: str, share: float, rate: str, talks: float
) -> None:
    text = HEAD + (
        f"rooms: [{{name: r, members: [{{speaks: zh, talks: {talks!r}}}, {{speaks: en, joins: 5s}}]}}]\n"
        f"sessions: [{{name: s, src_lang: zh, tgt_lang: en, speech: {{arrivals: {{poisson: {rate}}}}}}}]\n"
        f"nodes: [{{name: n, service: {distribution}, warm_up: {distribution}, cpu: {share!r}}}]\n"
    )
    first = loads(text, "f.yaml", BROKEN)
    first = first.model_copy(update={"name": name})
    again = loads(first.effective(), "f.yaml", BROKEN)
    assert again == first
    assert again.effective() == first.effective()


def test_hostile_names_are_kept_as_they_are_and_written_harmlessly() -> None:
    name = "\"><img src=x onerror=alert(1)>{{7*7}}=cmd|' /C calc'!A0\x1b[2J\u202e\0"
    changed = scenario(HEAD + PEOPLE + NODES).model_copy(update={"name": name})
    text = changed.effective()
    assert not set(text) & {"\x1b", "\u202e", "\0"}
    assert scenario(text).name == name


def test_expectations_keep_their_lines_and_their_text(full: Scenario) -> None:
    lines = FULL.splitlines()
    assert [one.text for one in full.expect] == [
        "violations == 0",
        "delivery_latency{language=ja}.p95 < 6s",
        "deliveries.missing == 0",
    ]
    for one in full.expect:
        assert one.text in lines[one.line - 1]
        assert one.column == 5


def test_a_scenario_of_two_hundred_lines_loads_quickly() -> None:
    rooms = "".join(
        f"  - name: room{number}\n    count: 3\n    members:\n      - {{count: 2, speaks: zh}}\n"
        f"      - {{speaks: en, talks: 2}}\n      - {{speaks: ja, joins: 2min}}\n    speech: turn_taking\n"
        for number in range(28)
    )
    text = HEAD + "rooms:\n" + rooms + NODES
    assert len(text.splitlines()) >= 200
    times = []
    for _ in range(3):
        start = time.process_time()
        scenario(text)
        times.append(time.process_time() - start)
    # On its own it takes some 25 ms; the bound leaves room for a machine that is busy with other tests.
    assert min(times) < 0.05


def test_trace_loads_are_read_and_checked(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("time,load\n0,0.1\n60,0.4\n", encoding="utf-8")
    text = HEAD + PEOPLE + "nodes: [{name: n, service: 1s, gpu: {background: {trace: load.csv}}}]\n"
    node = loads(text, "f.yaml", tmp_path).nodes[0]
    assert node.gpu is not None
    assert node.gpu.background == TraceLoad(file="load.csv")
