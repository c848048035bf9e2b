"""Do the tests of what decides over a release notice if any part of it is wrong?

    python -m tests.mutation.verifier [--every N] [--seed S] [--at-least PERCENT] [--only SUITE]

Run as a program: the whole answer, for the rules of consent and the lifecycle of statements. Each
mutant runs in a forked child: the modules of its suite are made anew with the one change, then
their tests run against them until the first that fails. What survives is printed.
"""

import argparse
import contextlib
import io
import os
import random
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Modules of one package, and the tests that are to notice each change to them."""

    package: str
    modules: tuple[str, ...]
    """In the order in which they import each other."""
    tests: tuple[str, ...]


CONSENT = Suite(  # facts.py decides nothing
    package="firmware.consent",
    modules=("request_rules", "household_rules", "sealed", "verifier"),
    tests=(
        "tests/firmware/test_verifier_order.py",
        "tests/firmware/test_verifier.py",
        "tests/firmware/test_request_rules.py",
        "tests/firmware/test_household_rules.py",
        "tests/firmware/test_sealed.py",
    ),
)
LIFECYCLE = Suite(
    package="firmware.decisions",
    modules=("lifecycle",),
    tests=("tests/firmware/test_lifecycle.py", "tests/house/test_lifecycle_diagram.py"),
)
SUITES = {"consent": CONSENT, "lifecycle": LIFECYCLE}
CHILD_S = 60

EQUIVALENT: dict[tuple[str, str, str], str] = {}
"""(module, line's text, change): why nobody could ever notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One mutant of one module of a suite."""

    suite: Suite
    module: str
    mutant: Mutant

    @property
    def text(self) -> str:
        """The line that it changes."""
        return source_of(self.suite, self.module).splitlines()[self.mutant.line - 1].strip()

    @property
    def is_equivalent(self) -> bool:
        """Whether it is known to change nothing."""
        return (self.module, self.text, self.mutant.what) in EQUIVALENT

    def __str__(self) -> str:
        return f"{self.module}.py:{self.mutant.line}: {self.mutant.what}: {self.text}"


def source_of(suite: Suite, module: str) -> str:
    """Return a module's source as it is."""
    return (ROOT / suite.package.replace(".", "/") / f"{module}.py").read_text()


def trials(suites: Sequence[Suite] = tuple(SUITES.values())) -> list[Trial]:
    """Return every mutant that could be noticed."""
    every = [
        Trial(suite=suite, module=module, mutant=mutant)
        for suite in suites
        for module in suite.modules
        for mutant in mutants_of(source_of(suite, module))
    ]
    return [trial for trial in every if not trial.is_equivalent]


def survivors(chosen: Sequence[Trial]) -> Iterator[Trial]:
    """Try these; give those that no test noticed."""
    warm_up()
    for trial in chosen:
        if not is_noticed(trial.suite, trial):
            yield trial


def is_noticed(suite: Suite, trial: Trial | None) -> bool:
    """Tell whether the suite's tests fail against it; None: against the source as it is."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(CHILD_S)  # a change that never ends is noticed too
        with contextlib.suppress(BaseException):
            os._exit(_run(suite, trial))
        os._exit(99)
    _, status = os.waitpid(pid, 0)
    return status != 0


def warm_up() -> None:
    """Import what every child needs, once."""
    for suite in SUITES.values():
        for test in suite.tests:
            __import__(test.removesuffix(".py").replace("/", "."))


def _run(suite: Suite, trial: Trial | None) -> int:
    os.chdir(ROOT)
    _forget_tests()
    if trial is not None:
        _make_anew(trial)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--no-header", *suite.tests]))


def _forget_tests() -> None:
    """Let what holds the rules by name import them again."""
    for name in list(sys.modules):
        if name.startswith(
            ("tests.firmware.test_", "tests.house.test_", "tests.fakes.consent_world")
        ):
            del sys.modules[name]


def _make_anew(trial: Trial) -> None:
    suite = trial.suite
    package = sys.modules[suite.package]
    for module in suite.modules:
        name = f"{suite.package}.{module}"
        source = trial.mutant.source if module == trial.module else source_of(suite, module)
        made = types.ModuleType(name)
        made.__file__ = f"<{module}>"
        sys.modules[name] = made
        setattr(package, module, made)
        exec(compile(source, f"<{module}>", "exec"), made.__dict__)  # noqa: S102


def main() -> int:
    """Try all of them, or one in so many."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-least", type=float, default=90, help="percent, or it is a failure")
    parser.add_argument("--only", choices=SUITES, help="one suite alone")
    arguments = parser.parse_args()
    suites = [suite for name, suite in SUITES.items() if arguments.only in (None, name)]
    if any(is_noticed(suite, None) for suite in suites):
        print("the tests fail without any change")
        return 2
    chosen = trials(suites)
    random.Random(arguments.seed).shuffle(chosen)
    chosen = sorted(chosen[:: arguments.every], key=str)
    alive = []
    for trial in survivors(chosen):
        alive.append(trial)
        print(f"survived: {trial}", flush=True)
    score = 100 * (1 - len(alive) / len(chosen))
    print(f"{len(chosen) - len(alive)} of {len(chosen)} mutants noticed: {score:.1f} %")
    return 0 if score >= arguments.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
