"""The tests of consent and lifecycle notice if any part is wrong; `make soak` tries all mutants.

DOORWARD_MUTANTS_EVERY=1 tries each of them (an hour).
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.mutation.mutants import mutants_of
from tests.mutation.verifier import CONSENT, LIFECYCLE, trials

ROOT = Path(__file__).parents[2]
EVERY = int(os.environ.get("DOORWARD_MUTANTS_EVERY", "150"))


def test_nine_of_ten_mutants_are_noticed():
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutation.verifier", "--every", str(EVERY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=7200,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_there_are_mutants_of_every_line_that_decides():
    assert len(trials([CONSENT])) > 400
    assert len(trials([LIFECYCLE])) > 300


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


def test_texts_for_people_and_annotations_are_left_alone():
    source = '''"""A room."""\nX: "int" = f"{1} of"\n"""What it is."""\n'''
    assert list(mutants_of(source)) == []
