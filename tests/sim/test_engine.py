"""Virtual time: plain calls and SimPy's own events in one order, and SimPy as documented."""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import Any, Final

import pytest
import simpy

from simroom.sim.engine import AFTER_MESSAGES, NORMAL, WINDOW_BITS, Engine

Trace = list[tuple[Any, ...]]
Process = Generator[Any, Any, Any]
WINDOW: Final = 1 << WINDOW_BITS


class Stock(simpy.Environment):
    """SimPy as it comes, with calls made of its own events: what ours must equal."""

    def call_at(self, at: int, act: Callable[[Any], None], argument: Any = None, priority: int = NORMAL) -> None:
        event = simpy.Event(self)
        event._ok = True
        event._value = None
        assert event.callbacks is not None
        event.callbacks.append(lambda _: act(argument))
        self.schedule(event, priority, at - self.now)  # type: ignore[arg-type]

    def advance(self, until: int) -> None:
        """As ours: the entries of ``until`` are handled too."""
        while self.peek() <= until:
            self.step()
        self._now = until


AnyEngine = Engine | Stock


# --- order


def test_plain_calls_and_events_of_one_instant_happen_in_the_order_in_which_they_were_queued() -> None:
    engine = Engine()
    trace: Trace = []

    def process(name: str, delay: int) -> Process:
        yield engine.timeout(delay)
        trace.append((engine.now, name))

    engine.call_at(10, trace.append, "first")
    timeout = engine.timeout(10)
    assert timeout.callbacks is not None
    timeout.callbacks.append(lambda _: trace.append("second"))  # type: ignore[arg-type]
    engine.call_at(10, trace.append, "third")
    engine.process(process("last: its time-out is queued as the process begins", 10))
    engine.call_at(10, trace.append, "fourth")
    engine.advance(10)
    assert trace == ["first", "second", "third", "fourth", (10, "last: its time-out is queued as the process begins")]


def test_at_one_instant_the_lower_priority_number_goes_first_even_if_it_was_queued_last() -> None:
    engine = Engine()
    trace: list[str] = []

    def message(name: str) -> None:
        trace.append(name)
        if name == "message":
            engine.call_at(engine.instant, message, "follows from the message")

    engine.call_at(WINDOW * 3, message, "wake", AFTER_MESSAGES)
    engine.call_at(WINDOW * 3, message, "message")
    engine.call_at(WINDOW * 3, message, "urgent", 0)
    engine.advance(WINDOW * 3)
    assert trace == ["urgent", "message", "follows from the message", "wake"]


class RandomProgram:
    """Calls, processes, resources and stores, all drawn; what happens is noted."""

    def __init__(self, engine: AnyEngine, number: int) -> None:
        self.engine = engine
        self.luck = Random(number)
        self.trace: Trace = []
        self.resource = simpy.Resource(engine, 2)
        self.store: simpy.Store = simpy.Store(engine, 3)
        self.left = 400
        for serial in range(6):
            engine.call_at(self.delay(), self.act, serial)
            engine.process(self.customer(serial))
            engine.process(self.producer(serial))
            engine.process(self.consumer(serial))

    def delay(self) -> int:
        """Often nothing, often equal, now and then beyond several windows."""
        return self.luck.choice((0, 0, 5, 5, 100, WINDOW - 1, WINDOW, WINDOW + 1, self.luck.randint(0, 9 * WINDOW)))

    def note(self, *what: Any) -> None:
        assert self.engine.now == int(self.engine.now)
        self.trace.append((self.engine.now, *what))

    def act(self, serial: int) -> None:
        self.note("call", serial)
        for _ in range(self.luck.choice((0, 1, 1, 2))):
            if self.left:
                self.left -= 1
                at = int(self.engine.now) + self.delay()
                self.engine.call_at(at, self.act, self.left, self.luck.choice((NORMAL, NORMAL, 0, AFTER_MESSAGES)))

    def customer(self, serial: int) -> Process:
        for _ in range(8):
            with self.resource.request() as request:
                patience = self.engine.timeout(self.delay())
                yield request | patience
                self.note("customer", serial, request.triggered)
                if request.triggered:
                    yield self.engine.timeout(self.delay())
            yield self.engine.timeout(self.delay())

    def producer(self, serial: int) -> Process:
        for item in range(8):
            yield self.engine.timeout(self.delay())
            yield self.store.put((serial, item))
            self.note("put", serial, item)

    def consumer(self, serial: int) -> Process:
        for _ in range(8):
            item = yield self.store.get()
            self.note("got", serial, item)
            self.engine.call_at(int(self.engine.now) + self.delay(), self.act, serial)


def by_advance(engine: AnyEngine) -> None:
    engine.advance(3 * WINDOW + 5)
    engine.advance(3 * WINDOW + 5)
    engine.advance(10**9)


def by_run(engine: AnyEngine) -> None:
    engine.run(until=3 * WINDOW + 5)
    engine.run()


def by_step(engine: AnyEngine) -> None:
    while engine.peek() < simpy.core.Infinity:
        engine.step()


@pytest.mark.parametrize("pass_time", [by_advance, by_run, by_step])
@pytest.mark.parametrize("number", range(12))
def test_random_programs_go_as_in_simpy_itself(number: int, pass_time: Callable[[AnyEngine], None]) -> None:
    ours, stock = RandomProgram(Engine(), number), RandomProgram(Stock(), number)
    pass_time(ours.engine)
    pass_time(stock.engine)
    assert len(ours.trace) > 200
    assert ours.trace == stock.trace


def test_what_is_queued_between_two_advances_keeps_its_place() -> None:
    """Entries for the present window, for later ones and for SimPy alone, queued while the clock stands."""
    luck = Random(7)
    engine, stock = Engine(), Stock()
    traces: dict[AnyEngine, Trace] = {engine: [], stock: []}

    def queue(on: AnyEngine, at: int, serial: int) -> None:
        def note(_: object) -> None:
            traces[on].append((on.now, serial))

        if serial % 5 < 2:
            timeout = on.timeout(at - now, serial)
            assert timeout.callbacks is not None
            timeout.callbacks.append(note)
        else:
            on.call_at(at, note)

    now = 0
    for serial in range(300):
        delay = luck.choice((0, 1, WINDOW // 2, WINDOW, 5 * WINDOW))
        for each in traces:
            queue(each, now + delay, serial)
        now += luck.choice((0, 1, WINDOW // 3, 2 * WINDOW))
        for each in traces:
            each.advance(now)
            assert each.now == now
    engine.advance(now + 10 * WINDOW)
    stock.advance(now + 10 * WINDOW)
    assert len(traces[engine]) == 300
    assert traces[engine] == traces[stock]


# --- SimPy as documented


def test_the_bank_of_simpys_documentation_is_told_the_same_story() -> None:
    """The example of reneging customers, in whole microseconds, with an interrupt."""

    def story(env: simpy.Environment) -> Trace:
        trace: Trace = []
        luck = Random(42)
        counter = simpy.PriorityResource(env, capacity=1)
        guard: list[simpy.Process] = []

        def source() -> Process:
            for number in range(30):
                customers.append(env.process(customer(f"customer {number}")))
                yield env.timeout(int(luck.expovariate(1 / 10_000_000)))

        def customer(name: str) -> Process:
            arrived_at = env.now
            trace.append((env.now, name, "here I am"))
            with counter.request(priority=luck.choice((0, 1))) as request:
                patience = luck.randint(1_000_000, 30_000_000)
                results = yield request | env.timeout(patience)
                if request in results:
                    trace.append((env.now, name, "waited", env.now - arrived_at))
                    try:
                        yield env.timeout(int(luck.expovariate(1 / 12_000_000)))
                        trace.append((env.now, name, "finished"))
                    except simpy.Interrupt as interrupt:
                        trace.append((env.now, name, "interrupted", interrupt.cause))
                else:
                    trace.append((env.now, name, "reneged"))

        def robber() -> Process:
            yield env.timeout(61_000_000)
            for one in customers:
                if one.is_alive:
                    one.interrupt("robbery")
                    return

        customers: list[simpy.Process] = []
        env.process(source())
        guard.append(env.process(robber()))
        env.run(until=400_000_000)
        trace.append((env.now, "closed"))
        return trace

    ours = story(Engine())
    assert ours == story(simpy.Environment())
    told = {what for _, _, what, *_ in ours[:-1]}
    assert told == {"here I am", "waited", "finished", "reneged", "interrupted"}


def test_run_stops_before_the_entries_of_its_until_and_advance_after_them() -> None:
    engine = Engine()
    trace: list[int] = []
    engine.call_at(50, trace.append, 50)
    engine.run(until=50)
    assert (engine.now, engine.instant, trace) == (50, 50, [])
    engine.advance(50)
    assert (engine.now, engine.instant, trace) == (50, 50, [50])


def test_run_returns_the_value_of_the_process_it_waits_for() -> None:
    engine = Engine()

    def process() -> Process:
        yield engine.timeout(5 * WINDOW)
        return "done"

    engine.call_at(3 * WINDOW, lambda _: None)
    assert engine.run(until=engine.process(process())) == "done"
    assert engine.now == 5 * WINDOW
    assert engine.instant == 5 * WINDOW


def test_an_engine_with_nothing_to_do_says_so() -> None:
    engine = Engine()
    assert engine.peek() == simpy.core.Infinity
    with pytest.raises(simpy.core.EmptySchedule):
        engine.step()
    engine.run()
    engine.advance(123)
    assert engine.now == 123


def test_the_next_instant_is_told_whichever_kind_of_entry_it_is_of() -> None:
    engine = Engine()
    engine.call_at(7 * WINDOW, lambda _: None)
    assert engine.peek() == 7 * WINDOW
    engine.timeout(2 * WINDOW)
    assert engine.peek() == 2 * WINDOW
    engine.call_at(11, lambda _: None)
    assert engine.peek() == 11


@pytest.mark.parametrize("pass_time", [by_advance, by_run, by_step])
def test_what_a_process_raises_comes_out_and_the_engine_can_go_on(pass_time: Callable[[AnyEngine], None]) -> None:
    engine = Engine()
    after: list[int] = []

    def process() -> Process:
        yield engine.timeout(10)
        raise LookupError("lost", 7)

    engine.process(process())
    engine.call_at(2 * WINDOW, after.append, 1)
    with pytest.raises(LookupError) as caught:
        pass_time(engine)
    assert caught.value.args == ("lost", 7)
    assert engine.now == 10
    engine.advance(2 * WINDOW)
    assert after == [1]


def test_an_exception_that_somebody_waits_for_stays_inside() -> None:
    engine = Engine()
    caught: list[str] = []

    def failing() -> Process:
        yield engine.timeout(10)
        raise ValueError("inside")

    def waiting() -> Process:
        try:
            yield engine.process(failing())
        except ValueError as error:
            caught.append(str(error))

    engine.process(waiting())
    engine.advance(10)
    assert caught == ["inside"]


# --- ours alone


def test_entries_of_both_kinds_are_counted() -> None:
    engine = Engine()
    for at in range(0, 20 * WINDOW, WINDOW // 2):
        engine.call_at(at, lambda _: None)
        engine.timeout(at)
    engine.advance(20 * WINDOW)
    assert engine.count == 80


def test_a_call_that_raises_is_counted_and_leaves_the_rest_in_place() -> None:
    engine = Engine()
    trace: list[str] = []

    def fail(_: object) -> None:
        raise RuntimeError("here")

    engine.call_at(5, fail)
    engine.call_at(5, trace.append, "behind it")
    with pytest.raises(RuntimeError):
        engine.advance(100)
    assert (engine.count, engine.instant) == (1, 5)
    engine.advance(100)
    assert (engine.count, trace) == (2, ["behind it"])


def test_an_interrupt_comes_between_two_entries_before_all_others() -> None:
    engine = Engine()
    trace: list[str] = []

    def first(_: object) -> None:
        engine.interrupt()
        trace.append("first is finished")

    engine.call_at(5 * WINDOW, first)
    engine.call_at(5 * WINDOW, trace.append, "second", 0)
    engine.call_at(5 * WINDOW, trace.append, "third")
    with pytest.raises(KeyboardInterrupt):
        engine.advance(9 * WINDOW)
    assert trace == ["second", "first is finished"]
    assert engine.instant == 5 * WINDOW


def test_an_interrupt_while_the_clock_stands_is_not_lost() -> None:
    engine = Engine()
    engine.advance(7 * WINDOW + 3)
    engine.interrupt()
    with pytest.raises(KeyboardInterrupt):
        engine.advance(7 * WINDOW + 4)
