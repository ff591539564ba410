"""Which models are loaded, and which jobs that leaves a node able to do."""

from __future__ import annotations

from simroom.oracle.payload import speech
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import InstalledModel, JobAssign, Pipeline
from simroom.sim.models import Models

INSTALLED = (
    InstalledModel("asr", "asr", "1"),
    InstalledModel("nmt-zh-en", "nmt", "1", "zh", "en"),
    InstalledModel("nmt-ja-en", "nmt", "1", "ja", "en"),
    InstalledModel("nmt-zh-JA", "nmt", "1", "zh", "JA"),
    InstalledModel("tts-en", "tts", "1", None, "en"),
    InstalledModel("tts-ja", "tts", "1", "ja"),
    InstalledModel("emotion", "other", "1"),
)


def models(*, primary_only: bool = False) -> Models:
    return Models(INSTALLED, Tags(primary_only=primary_only))


def job(src: str, tgt: str) -> JobAssign:
    pipeline = Pipeline(use_asr=True, use_nmt=True, use_tts=True)
    return JobAssign("job", "session", 0, src, tgt, pipeline, speech("t", 0, 1, 1), "pcm16", 16_000, "trace")


def held(those: Models) -> list[str]:
    return [model_id for model_id, state in those.state().items() if state == "downloading"]


def test_all_are_ready_until_something_is_held() -> None:
    those = models()
    assert those.all_ready
    assert not those.untold
    assert held(those) == []
    assert list(those.state()) == [model.model_id for model in INSTALLED]
    assert not those.lacks(job("zh", "en"))


def test_everything_is_held_where_nothing_is_named() -> None:
    those = models()
    assert those.hold(None) is not None
    assert held(those) == [model.model_id for model in INSTALLED]
    assert those.untold


def test_models_are_held_by_kind_and_by_pair() -> None:
    for names, expected in (
        (["asr"], ["asr"]),
        (["tts"], ["tts-en", "tts-ja"]),
        (["nmt"], ["nmt-zh-en", "nmt-ja-en", "nmt-zh-JA"]),
        (["ZH > ja"], ["nmt-zh-JA"]),
        (["zh>en", "tts"], ["nmt-zh-en", "tts-en", "tts-ja"]),
    ):
        those = models()
        those.hold(names)
        assert held(those) == expected, names


def test_what_a_node_does_not_have_cannot_be_held() -> None:
    those = models()
    assert those.hold(["de>fr"]) is None
    assert those.all_ready
    assert not those.untold


def test_a_job_lacks_a_model_when_none_that_would_do_is_ready() -> None:
    for names, lacking in (
        (["asr"], ["zh en", "ja en", "zh ja", "auto en"]),
        (["tts"], ["zh en", "ja en", "zh ja", "auto en"]),
        (["zh>en"], ["zh en"]),
        (["zh>en", "ja>en"], ["zh en", "ja en", "auto en"]),
        (["nmt"], ["zh en", "ja en", "zh ja", "auto en"]),
    ):
        those = models()
        those.hold(names)
        jobs = ["zh en", "ja en", "zh ja", "auto en"]
        assert [each for each in jobs if those.lacks(job(*each.split()))] == lacking, names


def test_languages_compare_as_the_scheduler_compares_them() -> None:
    for primary_only in (False, True):
        those = models(primary_only=primary_only)
        those.hold(["ja>en"])
        assert those.lacks(job("zh-CN", "en")) is not primary_only


def test_holds_end_one_by_one_and_once() -> None:
    those = models()
    first, second = those.hold(["asr", "zh>en"]), those.hold(["asr"])
    assert first is not None
    assert second is not None
    those.untold = False
    assert those.release(first)
    assert those.untold
    assert held(those) == ["asr"], "the other still holds it"
    those.untold = False
    assert not those.release(first)
    assert not those.untold
    assert those.release(second)
    assert those.all_ready


def test_a_new_life_forgets_all_holds() -> None:
    those = models()
    hold = those.hold(None)
    assert hold is not None
    those.begin()
    assert those.all_ready
    assert not those.untold
    assert those.hold(["asr"]) != hold
    assert not those.release(hold), "what was meant for the old life does nothing"
    assert held(those) == ["asr"]
