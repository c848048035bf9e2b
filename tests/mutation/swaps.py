"""Trials of the mutants inside functions, without importing anything anew for each of them.

One process imports the suites' tests and what they test. For each mutant it forks a child, in which
the objects of the changed function get the changed code: whoever imported the function runs that.
Of many mutants, each is tried only by those tests of its suite that come by the changed lines, the
quickest first; which ones those are, one run of all with a trace has told before. Whatever survives
that is imported anew, once: an import may have called the function as it was.
"""

import ast
import contextlib
import gc
import io
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

from tests.mutation.mutants import Function, Mutant
from tests.mutation.suites import ROOT
from tests.mutation.trials import (
    CHILD_CPU_S,
    PYTEST,
    Trial,
    cpu_s_used,
    in_child,
    is_noticed,
    ready_hypothesis,
)

FEW = 50
"""So few mutants are tried by a suite's tests in their order: a trace would take longer."""

Lines = set[tuple[str, int]]
Functions = dict[tuple[str, int, str], list[FunctionType]]


class TestsFailed(Exception):
    """The tests of a suite fail without any change."""


def tried(chosen: Sequence[Trial], *, cpu_s: float) -> Iterator[tuple[Trial, bool]]:
    """Try these, each inside a function, for so long; give each, and whether a test noticed it."""
    tests = dict.fromkeys(test for trial in chosen for test in trial.suite.tests)

    def collect(tell: Callable[[object], None]) -> int:
        os.chdir(ROOT)
        ready_hypothesis()
        session = _Session(chosen=chosen, cpu_s=cpu_s, tell=tell)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = pytest.main([*PYTEST, *tests], plugins=[session])
        return int(code) or int(not session.is_done)

    for at, is_noticed_ in _told_by(collect):
        yield chosen[at], is_noticed_


def _told_by(work: Callable[[Callable[[object], None]], int]) -> Iterator[Any]:
    """Give what a forked child tells while it works; TestsFailed unless it ends with 0."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with contextlib.suppress(BaseException), os.fdopen(writing, "wb", buffering=0) as pipe:
            os._exit(work(lambda told: pickle.dump(told, pipe)))
        os._exit(99)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, contextlib.suppress(EOFError):
        while True:
            yield pickle.load(pipe)  # noqa: S301 # our own child wrote it
    _, status = os.waitpid(pid, 0)
    if status:
        raise TestsFailed


@dataclass(eq=False, kw_only=True)
class _Session:
    """What pytest runs instead of the tests that it collected."""

    chosen: Sequence[Trial]
    cpu_s: float
    tell: Callable[[object], None]
    is_done: bool = False
    has_failed: bool = False
    seen: dict[str, tuple[float, Lines]] = field(default_factory=dict)
    """How long each test took, and the lines that it came by."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.has_failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if len(self.chosen) > FEW:
            (self.seen,) = _told_by(lambda tell: self._trace(session.items, tell))
        elif in_child(lambda: self._is_failing(self._own(self.chosen[0], session.items))):
            raise TestsFailed
        functions = _functions(self._paths)
        for at, trial in enumerate(self.chosen):
            is_noticed_ = self._is_noticed(trial, session.items, functions)
            if cpu_s_used() >= self.cpu_s:  # which may be what ended the child
                break
            self.tell((at, is_noticed_))
        self.is_done = True
        return True

    @property
    def _paths(self) -> set[str]:
        return {str(ROOT / trial.path) for trial in self.chosen}

    def _is_noticed(self, trial: Trial, items: Sequence[pytest.Item], functions: Functions) -> bool:
        code = _changed_code(trial)
        found = functions.get(_place_of(code), [])

        coming = self._coming_by(trial, items)

        def notices() -> bool:
            for one in found:
                one.__code__ = code
            return self._is_failing(coming)

        is_swappable = bool(found) and all(
            one.__code__.co_freevars == code.co_freevars for one in found
        )
        if is_swappable and in_child(notices, cpu_s=min(self._left_s, self._enough_s(coming))):
            return True
        return is_noticed(trial.suite.tests, trial, cpu_s=self._left_s)

    @property
    def _left_s(self) -> float:
        return self.cpu_s - cpu_s_used()

    def _enough_s(self, items: Sequence[pytest.Item]) -> float:
        """Return how long these tests may take before a loop in them has no end."""
        if not self.seen:
            return CHILD_CPU_S
        return 5 + 3 * sum(self.seen[item.nodeid][0] for item in items)

    def _is_failing(self, items: Sequence[pytest.Item]) -> bool:
        return any(self._fails(item, following) for item, following in _with_next(items))

    def _fails(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return self.has_failed

    def _own(self, trial: Trial, items: Sequence[pytest.Item]) -> Sequence[pytest.Item]:
        tests = {ROOT / test for test in trial.suite.tests}
        return [item for item in items if item.path in tests]

    def _coming_by(self, trial: Trial, items: Sequence[pytest.Item]) -> Sequence[pytest.Item]:
        own = self._own(trial, items)
        if not self.seen:
            return own
        lines = {(str(ROOT / trial.path), line) for line in lines_of(trial.mutant)}
        coming = [item for item in own if lines & self.seen[item.nodeid][1]]
        return sorted(coming, key=lambda item: self.seen[item.nodeid][0])

    def _trace(self, items: Sequence[pytest.Item], tell: Callable[[object], None]) -> int:
        """Run each test once, and tell which lines of the modules it ran."""
        paths = self._paths
        seen: dict[str, tuple[float, Lines]] = {}
        lines: Lines = set()

        def line(frame: FrameType, _event: str, _argument: object) -> Any:
            lines.add((frame.f_code.co_filename, frame.f_lineno))
            return line

        def call(frame: FrameType, event: str, argument: object) -> Any:
            return line(frame, event, argument) if frame.f_code.co_filename in paths else None

        for item, following in _with_next(items):
            lines = set()
            began_s = time.process_time()
            threading.settrace(call)
            sys.settrace(call)
            self._fails(item, following)
            sys.settrace(None)
            threading.settrace(None)
            seen[item.nodeid] = (time.process_time() - began_s, lines)
        tell(seen)
        return int(self.has_failed)


def lines_of(mutant: Mutant) -> set[int]:
    """Return the lines of the statement that a mutant changes; of one with a body, its head."""
    holding = [
        one
        for one in ast.walk(mutant.tree)
        if isinstance(one, ast.stmt) and any(part is mutant.node for part in ast.walk(one))
    ]
    statement = holding[-1]  # `ast.walk` goes by depth, so this is the innermost
    body = getattr(statement, "body", None)
    end = body[0].lineno if body else (statement.end_lineno or statement.lineno) + 1
    return set(range(statement.lineno, max(end, statement.lineno + 1)))


def _with_next(
    items: Sequence[pytest.Item],
) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    """Give each test with the one after it, for which pytest keeps what both use."""
    yield from zip(items, [*items[1:], None], strict=True)


def _functions(paths: set[str]) -> Functions:
    """Return the objects of all functions in these files, by where they begin."""
    gc.unfreeze()  # tests/conftest.py hid them
    found: Functions = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename in paths:
            found.setdefault(_place_of(one.__code__), []).append(one)
    gc.freeze()
    return found


def _changed_code(trial: Trial) -> CodeType:
    """Return the code of the function that a mutant changes, with the change."""
    function = trial.mutant.function
    assert function is not None
    path = str(ROOT / trial.path)
    whole = compile(trial.mutant.changed_tree, path, "exec", dont_inherit=True)
    place = (path, _first_line(function), function.name)
    (code,) = [one for one in _codes(whole) if _place_of(one) == place]
    return code


def _place_of(code: CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_name


def _first_line(function: Function) -> int:
    return min([function.lineno, *(one.lineno for one in function.decorator_list)])


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
