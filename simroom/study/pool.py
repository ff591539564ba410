"""Work spread over processes that may hang or die, its results in the order of the work.

The standard pool of processes gives up as a whole when one of them dies, and cannot say what that one was doing. Here
every worker has its own pipe: who hangs is killed, who dies is replaced, and both are results like any other.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Generic, Literal, Self, TypeVar

from msgspec import Struct

ResultT = TypeVar("ResultT")

AHEAD: Final = 64
"""So many tasks for each worker may be done before an earlier one is; more wait, so that results do not pile up."""
DEATHS_MAX: Final = 2
"""A task whose worker has died so often is given up."""
_PRELOADED: Final = ["simroom.study.trial", "simroom.study.shrink"]
"""Imported once, before workers are forked off."""

Fate = Literal["done", "hung", "died"]
Task = Callable[[], Any]
"""What a worker does; it must survive pickling, as a ``functools.partial`` of a function of a module does."""


class WorkError(Exception):
    """A task raised: a fault of the program, not of what it tried. The message is the worker's traceback."""


class Answer(Struct, Generic[ResultT], frozen=True):
    """What became of one task.

    Attributes:
        position: Of the task, counted from 0.
        fate: Whether it was done, or its worker was killed because it took too long, or died twice.
        result: What the task returned; None where it was not done.
        why: How a worker died, also where the second one succeeded; None: none died.
    """

    position: int
    fate: Fate
    result: ResultT | None
    why: str | None = None


class _Job(Struct):
    """A task on its way.

    Attributes:
        deaths: How many workers have died of it.
        why: How the last of them did.
    """

    position: int
    task: Task
    deaths: int = 0
    why: str | None = None


class Worker:
    """A process that does one task after the other.

    Attributes:
        job: What it is doing; None: nothing.
        due_at: When it has taken too long, by ``time.monotonic``.
    """

    def __init__(self) -> None:
        context = _context()
        self.connection, far_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(far_end, os.getcwd()), daemon=True)
        self.process.start()
        far_end.close()
        self.job: _Job | None = None
        self.due_at = 0.0

    def begin(self, job: _Job, limit_seconds: float) -> None:
        """Have a task done. A worker that is gone by now is noticed when its answer is waited for."""
        self.job = job
        self.due_at = time.monotonic() + limit_seconds
        with suppress(OSError):
            self.connection.send(job.task)

    def kill(self) -> str:
        """End the process at once; returns how it ended, also where it had done so by itself."""
        self.process.join(0)
        if self.process.exitcode is None:
            self.process.kill()
        self.process.join()
        self.connection.close()
        return _ended(self.process.exitcode)


def _context() -> Any:
    """How processes are started: forked off one that has imported everything and done nothing, where there is that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def _serve(connection: Connection, folder: str) -> None:
    """What a worker does until nobody is at the other end any more."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C is for the one who gives out the work
    with suppress(OSError):
        os.chdir(folder)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            task = connection.recv()
            try:
                result = task()
                if isinstance(result, Iterator):
                    for part in result:
                        connection.send(("part", part))
                    result = None
                answer = ("done", result)
            except Exception:
                answer = ("raised", traceback.format_exc())
            connection.send(answer)


class Pool:
    """Some workers, started as they are needed; use it as a context, so that none is left behind.

    Args:
        jobs: How many work at once, 1 or more.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._idle: list[Worker] = []
        self._busy: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in (*self._idle, *self._busy):
            worker.kill()
        self._idle, self._busy = [], []

    def in_order(self, tasks: Iterable[Task], *, limit_seconds: float) -> Iterator[Answer[Any]]:
        """Do all tasks.

        Args:
            tasks: Taken as workers become free, at most ``AHEAD`` for each worker beyond the answer that is due.
            limit_seconds: How long each may take by the clock on the wall.

        Yields:
            One answer for each task, in the order of the tasks.

        Raises:
            WorkError: A task raised.
        """
        source = iter(tasks)
        again: deque[_Job] = deque()
        answers: dict[int, Answer[Any]] = {}
        given, due = 0, 0
        while True:
            while due in answers:
                yield answers.pop(due)
                due += 1
            while len(self._busy) < self._jobs and (again or given < due + AHEAD * self._jobs):
                job = again.popleft() if again else _next_job(source, given)
                if job is None:
                    break
                given = max(given, job.position + 1)
                self._begin(job, limit_seconds)
            if not self._busy:
                return
            for answer in self._collected(again):
                answers[answer.position] = answer

    def _begin(self, job: _Job, limit_seconds: float) -> None:
        worker = self._idle.pop() if self._idle else Worker()
        worker.begin(job, limit_seconds)
        self._busy.append(worker)

    def _collected(self, again: deque[_Job]) -> list[Answer[Any]]:
        """Wait until something happens; the answers that this brings. Tasks to be done again go to ``again``."""
        first_due = min(worker.due_at for worker in self._busy)
        ready = wait([worker.connection for worker in self._busy], max(0.0, first_due - time.monotonic()))
        answers = []
        for worker in list(self._busy):
            job = worker.job
            assert job is not None
            if worker.connection in ready:
                answer = self._heard(worker, job, again)
            elif time.monotonic() >= worker.due_at:
                answer = Answer(job.position, "hung", None, job.why)
                self._busy.remove(worker)
                worker.kill()
            else:
                continue
            if answer is not None:
                answers.append(answer)
        return answers

    def _heard(self, worker: Worker, job: _Job, again: deque[_Job]) -> Answer[Any] | None:
        """What a worker has to say; None: it is gone, and its task will be done again."""
        try:
            word, result = worker.connection.recv()
        except (EOFError, OSError):
            self._busy.remove(worker)
            job.deaths += 1
            job.why = worker.kill()
            if job.deaths < DEATHS_MAX:
                again.append(job)
                return None
            return Answer(job.position, "died", None, job.why)
        if word == "raised":
            raise WorkError(result)
        self._busy.remove(worker)
        self._idle.append(worker)
        worker.job = None
        return Answer(job.position, "done", result, job.why)


def _next_job(source: Iterator[Task], position: int) -> _Job | None:
    task = next(source, None)
    return None if task is None else _Job(position, task)


def streamed(task: Task, *, limit_seconds: float) -> Iterator[Any]:
    """Do one task in a process of its own, and hear of it as it goes.

    Args:
        task: Must return an iterator.
        limit_seconds: How long it may take by the clock on the wall.

    Yields:
        What the task's iterator does. It ends early, without a word, where the process dies or takes too long.

    Raises:
        WorkError: The task raised.
    """
    worker = Worker()
    try:
        worker.begin(_Job(0, task), limit_seconds)
        while worker.connection.poll(max(0.0, worker.due_at - time.monotonic())):
            word, result = worker.connection.recv()
            if word == "raised":
                raise WorkError(result)
            if word == "done":
                return
            yield result
    except (EOFError, OSError):
        return
    finally:
        worker.kill()


# --- a process that has nothing in common with this one ----------------------------------------------------------

_ELSEWHERE: Final = "from simroom.study.pool import answer_once; answer_once()"


def elsewhere(task: Task, *, hash_seed: int, limit_seconds: float) -> Any:
    """Do one task in a fresh process in which hashes come out otherwise.

    Args:
        task: What to do.
        hash_seed: The other process's ``PYTHONHASHSEED``.
        limit_seconds: How long it may take by the clock on the wall, its start included.

    Returns:
        What the task returned; None where it raised, died or took too long.
    """
    paths = [path or os.getcwd() for path in sys.path]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", _ELSEWHERE]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and a constant program
            command, input=pickle.dumps(task), capture_output=True, env=environment, timeout=limit_seconds, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return pickle.loads(done.stdout)  # noqa: S301 - from our own process


def answer_once() -> None:
    """Do the task that stands pickled on stdin, and write what it returns to stdout, pickled."""
    answer = sys.stdout.buffer
    # What a scheduler prints must not get into the answer.
    sys.stdout = sys.stderr
    task = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - from the process that started this one
    answer.write(pickle.dumps(task()))
    answer.flush()
