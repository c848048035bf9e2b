"""An hour of chaos in a cluster: one thing is killed each 20 seconds (`make soak`)."""

import pytest

from tests.cluster.__main__ import main

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_an_hour_of_chaos_loses_nothing() -> None:
    assert main(["--chaos", "--minutes", "60"]) == 0
