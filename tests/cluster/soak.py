"""An hour of chaos in a cluster: one thing is killed each 20 seconds (`make soak`).

DOORWARD_CHAOS_MINUTES=N: so long.
"""

import os

import pytest

from tests.cluster.__main__ import main

pytestmark = [pytest.mark.services, pytest.mark.slow]

MINUTES = os.environ.get("DOORWARD_CHAOS_MINUTES", "60")


def test_an_hour_of_chaos_loses_nothing() -> None:
    assert main(["--chaos", "--minutes", MINUTES]) == 0
