"""Trials of mutants: do the tests of what a decision rests on notice if any part of it is wrong?

Each mutant runs in a forked child, where the tests of its suite run until the first that fails.
What is inside a function is tried by `swaps`; here, what the import of a module runs: nothing of
ours is imported in the child yet, and its module is loaded with the one change. Mutants that no
test can notice stand in survivors.toml, each with the reason.
"""

import contextlib
import importlib
import io
import os
import resource
import signal
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.suites import SUITES, Suite

ROOT = Path(__file__).parents[2]
SURVIVORS_FILE = Path(__file__).parent / "survivors.toml"
CHILD_CPU_S = 60
CHILD_S = 600
"""A change that never ends is noticed too."""
OURS = ("firmware", "relay", "provisioning", "tests")
PYTEST = ("-q", "-x", "-p", "no:cacheprovider", "--no-header")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One mutant of one module of a suite."""

    suite: Suite
    module: str
    mutant: Mutant

    @property
    def name(self) -> str:
        """The module's whole name."""
        return f"{self.suite.package}.{self.module}"

    @property
    def path(self) -> str:
        """The module's path from the repository's root."""
        return self.suite.path(self.module)

    @property
    def text(self) -> str:
        """The line that it changes."""
        return source_of(self.suite, self.module).splitlines()[self.mutant.line - 1].strip()

    def __str__(self) -> str:
        return f"{self.name}:{self.mutant.line}: {self.mutant.what}: {self.text}"


@cache
def source_of(suite: Suite, module: str) -> str:
    """Return a module's source as it is."""
    return (ROOT / suite.path(module)).read_text()


@cache
def survivors_known() -> dict[tuple[str, str, str], str]:
    """Return what no test notices, by module, line and change: and why that is right."""
    with SURVIVORS_FILE.open("rb") as file:
        listed = tomllib.load(file)["survivor"]
    return {(one["module"], one["line"], one["change"]): one["why"] for one in listed}


def trials(suites: Sequence[Suite] = tuple(SUITES.values())) -> list[Trial]:
    """Return every mutant that could be noticed."""
    known = survivors_known()
    return [
        trial
        for suite in suites
        for module in suite.modules
        for mutant in mutants_of(source_of(suite, module))
        if ((trial := Trial(suite=suite, module=module, mutant=mutant)).name, trial.text,
            mutant.what) not in known
    ]  # fmt: skip


def is_noticed(tests: Sequence[str], trial: Trial | None, *, cpu_s: float = CHILD_CPU_S) -> bool:
    """Tell whether these tests fail against a mutant; None: against the source as it is."""
    return in_child(lambda: _run(tests, trial) != 0, cpu_s=cpu_s)


def in_child(notices: Callable[[], bool], *, cpu_s: float = CHILD_CPU_S) -> bool:
    """Run this in a forked child; a child that breaks or doesn't end has noticed, too."""
    at_most_s = max(1, round(min(cpu_s, CHILD_CPU_S)))
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (at_most_s, at_most_s))
        signal.alarm(CHILD_S)
        with contextlib.suppress(BaseException):
            os._exit(int(notices()))
        os._exit(99)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what its tests left behind
    return status != 0


def cpu_s_used() -> float:
    """Return how long this process and its children have kept a processor."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ready_hypothesis() -> None:
    """Let a property be tried with the same examples each time."""
    from hypothesis import settings

    settings.register_profile("mutants", database=None, derandomize=True, deadline=None)
    settings.load_profile("mutants")


def warm_up(suites: Sequence[Suite]) -> None:
    """Import what the children need of others' modules, once."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException), os.fdopen(writing, "w") as pipe:
            for test in dict.fromkeys(test for suite in suites for test in suite.tests):
                importlib.import_module(test.removesuffix(".py").replace("/", "."))
            pipe.write("\n".join(name for name in sys.modules if name.split(".")[0] not in OURS))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        names = pipe.read().split("\n")
    os.waitpid(pid, 0)
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _run(tests: Sequence[str], trial: Trial | None) -> int:
    os.chdir(ROOT)
    for name in list(sys.modules):
        if name.split(".")[0] in OURS and not name.startswith("tests.mutation"):
            del sys.modules[name]
    if trial is not None:
        sys.meta_path.insert(0, _Finder(trial.name, trial.mutant.source))
    import pytest

    ready_hypothesis()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main([*PYTEST, *tests]))


class _Finder(MetaPathFinder):
    """The import of one module from other source."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._source = source

    def find_spec(self, fullname: str, path: object, _target: object = None) -> ModuleSpec | None:
        """Return the module's own spec, with the other source."""
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path)  # type: ignore[arg-type]
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._source)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, _fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec")
