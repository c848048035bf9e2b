"""Tries mutants, and prints those that no test notices.

python -m tests.mutation [--every N | --each N] [--seed S] [--at-least PERCENT] [--only SUITE]
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from tests.mutation import swaps
from tests.mutation.suites import SUITES, Suite
from tests.mutation.trials import Trial, cpu_s_used, is_noticed, trials, warm_up


def main() -> int:
    """Try all mutants, one in so many, or so many of each suite."""
    parser = argparse.ArgumentParser(description=__doc__)
    sample = parser.add_mutually_exclusive_group()
    sample.add_argument("--every", type=int, default=1, help="one mutant in so many")
    sample.add_argument("--each", type=int, help="so many of each suite, inside functions")
    parser.add_argument("--cpu-s", type=float, default=10**9, help="begin no mutant after so much")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-least", type=float, default=90, help="percent, or it is a failure")
    parser.add_argument("--only", choices=SUITES, action="append", help="these suites alone")
    arguments = parser.parse_args()
    suites = {name: SUITES[name] for name in arguments.only or SUITES}
    warm_up(list(suites.values()))
    if not arguments.each:  # `make test` runs these tests as well
        for name, suite in suites.items():
            if is_noticed(suite.tests, None):
                print(f"the tests of {name} fail without any change")
                return 2
    chosen = [_chosen(suite, arguments) for suite in suites.values()]
    tried: Counter[Suite] = Counter()
    noticed: Counter[Suite] = Counter()
    for trial, is_so in _tried(_in_turn(chosen), cpu_s=arguments.cpu_s):
        tried[trial.suite] += 1
        noticed[trial.suite] += is_so
        if not is_so:
            print(f"survived: {trial}", flush=True)
    for name, suite in suites.items():
        said = f"{noticed[suite]} of {tried[suite]} noticed" if tried[suite] else "not tried"
        print(f"{name}: {said}")
    if not tried:
        return 2
    score = 100 * noticed.total() / tried.total()
    print(
        f"{noticed.total()} of {tried.total()} mutants noticed: {score:.1f} %; "
        f"{cpu_s_used():.0f} s of a processor"
    )
    return 0 if score >= arguments.at_least else 1


def _tried(chosen: Sequence[Trial], *, cpu_s: float) -> Iterator[tuple[Trial, bool]]:
    inside = [trial for trial in chosen if trial.mutant.function is not None]
    for trial in chosen:
        if trial.mutant.function is None:
            yield trial, is_noticed(trial.suite.tests, trial)
    if inside:
        yield from swaps.tried(inside, cpu_s=cpu_s)


def _chosen(suite: Suite, arguments: argparse.Namespace) -> Sequence[Trial]:
    every = trials([suite])
    random.Random(arguments.seed).shuffle(every)
    if not arguments.each:
        return sorted(every[:: arguments.every], key=str)
    return [trial for trial in every if trial.mutant.function is not None][: arguments.each]


def _in_turn(chosen: Sequence[Sequence[Trial]]) -> list[Trial]:
    """Take one of each suite, then another of each: whenever it ends, each had its turn."""
    return [trial for row in zip_longest(*chosen) for trial in row if trial is not None]


if __name__ == "__main__":
    sys.exit(main())
