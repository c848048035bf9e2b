"""Tries mutants, and prints those that no test notices.

python -m tests.mutation [--every N | --each N] [--seed S] [--at-least PERCENT] [--only SUITE]
"""

import argparse
import random
import resource
import sys
from collections.abc import Sequence

from tests.mutation.suites import SUITES, Suite
from tests.mutation.trials import Trial, is_noticed, survivors, trials, warm_up


def main() -> int:
    """Try all mutants, one in so many, or so many of each suite."""
    parser = argparse.ArgumentParser(description=__doc__)
    sample = parser.add_mutually_exclusive_group()
    sample.add_argument("--every", type=int, default=1, help="one mutant in so many")
    sample.add_argument("--each", type=int, help="so many of each suite")
    parser.add_argument("--cpu-s", type=float, default=10**9, help="begin no mutant after so much")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-least", type=float, default=90, help="percent, or it is a failure")
    parser.add_argument("--only", choices=SUITES, action="append", help="these suites alone")
    arguments = parser.parse_args()
    suites = [suite for name, suite in SUITES.items() if name in (arguments.only or SUITES)]
    warm_up(suites)
    for suite in suites[:1] if arguments.each else suites:  # `make test` runs them all as well
        if is_noticed(suite.tests, None):
            print(f"the tests of {suite.package} fail without any change")
            return 2
    tried = noticed = 0
    for suite in suites:
        chosen = _chosen(suite, arguments) if _cpu_s() < arguments.cpu_s else []
        alive = []
        for trial in survivors(chosen):
            alive.append(trial)
            print(f"survived: {trial}", flush=True)
        tried += len(chosen)
        noticed += len(chosen) - len(alive)
        print(f"{suite.package}: {len(chosen) - len(alive)} of {len(chosen)} noticed", flush=True)
    score = 100 * noticed / tried
    print(f"{noticed} of {tried} mutants noticed: {score:.1f} %; {_cpu_s():.0f} s of a processor")
    return 0 if score >= arguments.at_least else 1


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _chosen(suite: Suite, arguments: argparse.Namespace) -> Sequence[Trial]:
    every = trials([suite])
    random.Random(arguments.seed).shuffle(every)
    chosen = every[: arguments.each] if arguments.each else every[:: arguments.every]
    return sorted(chosen, key=str)


if __name__ == "__main__":
    sys.exit(main())
