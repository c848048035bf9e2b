"""Every benchmark still runs and can be written down. Times are not tested."""

import datetime as dt
import json
from types import ModuleType

import pytest

from tests.bench import grants, packages, recording, ring
from tests.bench.measuring import SHORT, Goal, Result, Run
from tests.bench.report import as_json, as_markdown, machine_text

DATE = dt.date(2026, 1, 2)


@pytest.mark.parametrize("benchmark", [ring, recording, grants, packages], ids=lambda b: b.__name__)
def test_a_benchmark_measures_its_part_and_its_peer(benchmark: ModuleType):
    result = benchmark.measure(SHORT)
    assert len(result.own_runs) == len(result.peer_runs) == SHORT.runs
    assert result.value > 0
    assert result.peer_value > 0


def example(goal: Goal | None) -> Result:
    return Result(
        id="X1",
        what="count to ten",
        unit="µs",
        peer="nobody",
        own_runs=[Run(times_ns=[us * 1000] * 100) for us in (4, 2, 9)],
        peer_runs=[Run(times_ns=[us * 1000] * 100) for us in (2, 1, 8)],
        goal=goal,
    )


def test_a_result_is_the_median_of_its_runs_and_its_ratio_to_the_peer():
    result = example(None)
    assert (result.value, result.peer_value, result.ratio, result.p99) == (4.0, 2.0, 2.0, 4.0)
    assert result.is_met is None


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (Goal(value=4.0), True),
        (Goal(value=3.9), False),
        (Goal(value=4.0, p99=4.0), True),
        (Goal(value=4.0, p99=3.9), False),
    ],
)
def test_a_goal_is_met_when_median_and_p99_stay_within_it(goal: Goal, is_met: bool):
    assert example(goal).is_met is is_met


def test_both_files_say_that_nothing_was_measured_on_a_pi():
    results = [example(Goal(value=3.0))]
    (entry,) = json.loads(as_json(results, machine_text(), DATE))
    assert "not measured on a Pi" in entry["machine"]
    assert "Not measured on a Pi" in as_markdown(results, machine_text(), DATE)
    assert (entry["value"], entry["min"], entry["max"], entry["met"]) == (4.0, 2.0, 9.0, False)
