"""Selection does not depend on rooms: two schedulers, one history, the same nodes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from .harness import World

LISTENERS = {"ana": ("en", "ja"), "bob": ("en",), "cy": ("de", "fr", "ja")}
"""The speakers, each in a room of their own, and the languages that are wanted there."""
NODES = {"n1": "zh>en zh>ja", "n2": None, "n3": "zh>de zh>en zh>fr"}

events = st.one_of(
    st.tuples(st.just("speak"), st.sampled_from(sorted(LISTENERS)), st.just("")),
    st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(["", "NODE_OVERLOADED", "MODEL_CORRUPTED"])),
    st.tuples(st.just("pass"), st.sampled_from([1, 3, 11]), st.just("")),
    st.tuples(st.just("drain"), st.sampled_from(sorted(NODES)), st.just("")),
    st.tuples(st.just("lose"), st.sampled_from(sorted(NODES)), st.just("")),
    st.tuples(st.just("load"), st.sampled_from(sorted(NODES)), st.sampled_from(["10", "60"])),
)
policies = st.fixed_dictionaries(
    {
        "tie_break": st.sampled_from(["first", "rotate", "random"]),
        "load": st.sampled_from(["tracked", "reported"]),
        "on_no_node": st.sampled_from(["reject", "queue"]),
        "ordering": st.sampled_from(["gap", "strict", "none"]),
        "max_attempts": st.integers(1, 3),
    }
)


class Side:
    """One of the two: rooms with listeners, or a session of its own for each speaker and language."""

    def __init__(self, policy: dict[str, object], *, rooms: bool) -> None:
        self.rooms = rooms
        self.world = World(
            job_timeout=10, abandon_after=7, waiting_time_max=9, resource_threshold=0.5, pairing={"1": "n2"}, **policy
        )
        self.world.sources.choices.extend(step * 7 % 3 % 2 for step in range(1000))
        for name, pairs in NODES.items():
            self.world.node(name, slots=2, pairs=pairs)
        for speaker, languages in LISTENERS.items():
            code = "1" if speaker == "bob" else None
            if rooms:
                self.world.session(speaker, "zh", "en", pairing_code=code)
                self.world.room(f"{speaker}:zh", *(f"{speaker}-{lang}:{lang}" for lang in languages))
            else:
                for lang in languages:
                    self.world.session(f"{speaker}-{lang}", "zh", lang, pairing_code=code)

    def speak(self, speaker: str) -> None:
        if self.rooms:
            self.world.speak(speaker)
        else:
            for lang in LISTENERS[speaker]:
                self.world.speak(f"{speaker}-{lang}")

    def placings(self) -> list[tuple[str, str]]:
        """Each attempt there has been, in order: whose job into which language, and its node."""
        attempts = [
            (attempt.at, serial, job, attempt.node)
            for serial, (job, given) in enumerate(self.world.given.items())
            for attempt in given
        ]
        return [(self.plain(job), node) for _, _, job, node in sorted(attempts)]

    def plain(self, job: str) -> str:
        """The job's name as it is with rooms."""
        speaker, _, rest = job.partition("#")
        return f"{speaker.partition('-')[0]}#{rest}"

    def act(self, kind: str, what: object, how: str) -> None:
        world = self.world
        if kind == "speak":
            self.speak(str(what))
        elif kind == "pass":
            assert isinstance(what, int)
            world.run(what)
        elif kind == "answer":
            assert isinstance(what, int)
            jobs = list(world.given)
            if what < len(jobs):
                attempt = world.given[jobs[what]][-1]
                if world.workers[attempt.node].connection in world.open:
                    world.answer(jobs[what], code=how or None)
        elif str(what) in world.workers and world.workers[str(what)].connection in world.open:
            if kind == "drain":
                world.drain(str(what))
            elif kind == "lose":
                world.lose(str(what))
                world.node(str(what), slots=2, pairs=NODES[str(what)])
            else:
                world.load(str(what), cpu=float(how), jobs=1)


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(policy=policies, history=st.lists(events, max_size=40))
def test_the_same_history_places_the_same_jobs_on_the_same_nodes_with_and_without_rooms(
    policy: dict[str, object], history: list[tuple[str, object, str]]
) -> None:
    with_rooms, without = Side(policy, rooms=True), Side(policy, rooms=False)
    for kind, what, how in history:
        with_rooms.act(kind, what, how)
        without.act(kind, what, how)
        assert with_rooms.placings() == without.placings()
    verdicts = [
        [(v.node_id, v.status, v.exclude_reason, v.jobs, v.chosen) for v in side.world.scheduler.where("zh", "en")]
        for side in (with_rooms, without)
    ]
    assert verdicts[0] == verdicts[1]
    assert with_rooms.world.sources.asked_to_choose == without.world.sources.asked_to_choose
