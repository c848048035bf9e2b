"""Tests notice if any part of what a decision rests on is wrong; `make soak` tries all mutants.

DOORWARD_MUTANTS_EVERY=1 tries each of them (some hours); without it, three of each suite are tried,
as far as 45 seconds of a processor go. The end of the run names how many of which suite.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants_of
from tests.mutation.suites import SUITES
from tests.mutation.swaps import lines_of
from tests.mutation.trials import source_of, survivors_known, trials

ROOT = Path(__file__).parents[2]
EVERY = os.environ.get("DOORWARD_MUTANTS_EVERY")
SAMPLE = ["--each", "3", "--cpu-s", "45", "--at-least", "70"]


@pytest.mark.slow
def test_nine_of_ten_mutants_are_noticed(record_property: Callable[[str, object], None]):
    """Of a sample, 70 percent have to do: it is so small that three may be what a tenth is of."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutation", *(["--every", EVERY] if EVERY else SAMPLE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=40 * 3600,
        check=False,
    )
    told = [line for line in run.stdout.splitlines() if not line.startswith("survived")]
    record_property("told", "mutants: " + "; ".join(told))
    assert run.returncode == 0, run.stdout + run.stderr


def test_there_are_mutants_of_every_line_that_decides():
    assert len(trials([SUITES["consent"]])) > 400
    assert len(trials([SUITES["lifecycle"]])) > 300
    assert len(trials()) > 4000


def test_what_is_to_be_broken_and_what_is_to_notice_is_there():
    for suite in SUITES.values():
        assert suite.modules
        for path in [*map(suite.path, suite.modules), *suite.tests]:
            assert (ROOT / path).exists(), path


def test_each_known_survivor_is_a_mutant_still_and_has_a_reason():
    made = {
        (f"{suite.package}.{module}", source_of(suite, module).splitlines()[at - 1].strip(), what)
        for suite in SUITES.values()
        for module in suite.modules
        for at, what in (
            (mutant.line, mutant.what) for mutant in mutants_of(source_of(suite, module))
        )
    }
    for known, why in survivors_known().items():
        assert known in made
        assert len(why) > 20


def test_a_mutant_is_one_change():
    source = (
        "def f(a, b):\n    if a < b and not b:\n        raise ValueError(1)\n    return any(a)\n"
    )
    made = list(mutants_of(source))
    assert len({mutant.source for mutant in made}) == len(made)
    assert {mutant.what for mutant in made} == {
        "if always",
        "if never",
        "and/or",
        "without operand 1",
        "without operand 2",
        "Lt is LtE",
        "Lt is GtE",
        "without not",
        "no raise",
        "1 is 2",
        "1 is 0",
        "returns None",
        "all for any",
    }
    assert {mutant.line for mutant in made} == {2, 3, 4}


def test_a_mutant_is_tried_by_what_comes_by_its_statement_or_the_head_of_it():
    source = """import a
LIMIT = 2


class B:
    @a.once
    def f(self, b):
        if (
            b < LIMIT
        ):
            return a.g(
                b, 3
            )
        return [x for x in b if x > 1]
"""
    made = {mutant.what: mutant for mutant in mutants_of(source)}
    assert made["2 is 3"].function is None
    functions = {made[what].function for what in ("Lt is LtE", "3 is 4", "Gt is GtE")}
    assert [one.name for one in functions if one] == ["f"]
    assert lines_of(made["Lt is LtE"]) == {8, 9, 10}
    assert lines_of(made["if never"]) == {8, 9, 10}
    assert lines_of(made["3 is 4"]) == {11, 12, 13}
    assert lines_of(made["Gt is GtE"]) == {14}


def test_texts_for_people_annotations_and_bounds_are_left_alone():
    source = '''"""A room."""\nX: "int" = f"{1} of"\nMAX_TEXT_BYTES = 1\n"""What it is."""\n'''
    assert list(mutants_of(source)) == []
