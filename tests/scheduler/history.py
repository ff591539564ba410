"""A busy history, told line by line, to be compared between runs: ``python -m scheduler.history``."""

from __future__ import annotations

from .harness import World


def busy_world() -> World:
    """Two rooms, three nodes, forty seconds with failures, a lost node and a reconnect."""
    world = World(job_timeout=5, max_hold=2, reconnect_grace=3, on_no_node="queue", cancel="moot", ui_events="all")
    for name in ("n1", "n2", "n3"):
        world.node(name, slots=6)
    world.room("ana:zh", "ben:en", "cy:ja", "dan:fr", "eve:de", "fay:en")
    world.room("gil:en", "hal:zh", "ida:fr")
    for second in range(40):
        world.at(second)
        world.speak(("ana", "ben", "gil")[second % 3])
        for job in sorted(world.given)[second % 2 :: 2]:
            if second % 7 and world.workers[world.given[job][-1].node].connection in world.open:
                world.answer(job, code="NODE_OVERLOADED" if second % 5 == 0 else None)
        if second == 20:
            world.lose("n2")
        elif second == 25:
            world.drop("fay")
        elif second == 27:
            world.resume("fay")
    return world


if __name__ == "__main__":
    told = busy_world()
    for to, message in told.sent:
        print(to, message)  # noqa: T201 - this is what is compared
    print(told.counts())  # noqa: T201
