"""Every benchmark still runs and can be written down. Times are not tested.

The dearest, whose parts other tests start as well, run with DOORWARD_BENCHMARKS=all (make soak).
"""

import datetime as dt
import json
import os
import re
import shutil
from dataclasses import replace
from types import ModuleType

import msgspec
import pytest

from tests.bench import circular
from tests.bench.__main__ import BENCHMARKS, measure_all, results_of
from tests.bench.measuring import SHORT, Goal, NotHere, Point, Readings, Result, Run, Size
from tests.bench.not_measured import NOT_MEASURED
from tests.bench.pi import BOARDS
from tests.bench.plot import as_svg
from tests.bench.report import (
    FAILED,
    Entry,
    Setting,
    as_json,
    as_markdown,
    entry_of,
    merged,
    parse_entries,
)
from tests.bench.senders import lacks_peers
from tests.fakes import witness_peer

DATE = dt.date(2026, 1, 2)
ALONE = ("D11", "D6 road", "O1", "L2", "L3", "L6", "L8", "verify", "enrolment")
"""Nobody else does the same."""
DEAR = ("failover", "lossy", "owner_app", "resting", "whole")
"""Half of this file's time. `road` plays a whole town as well, others have Chromium or a doorbell
process; a lossy line is in tests/faults/test_lossy_line.py, a resting demo in test_idle.py,
a killed cluster in tests/cluster/test_kills.py."""
IS_ALL = os.environ.get("DOORWARD_BENCHMARKS") == "all"
MAY_BE_NOTHING = (
    "D8",
    "D8 libwebrtc",
    "L2 CPU",
    "L3 memory",
    "L3 memory broker",
    "L3 idle",
    "L3 idle broker",
    "L8",
    "L8 wake-ups",
    "L8 syncs",
    "L8 rest 10,000",
    "L8 database",
)
"""In a second, a picture may never stand still, and a relay may sleep, or need no more memory."""
PEER_MAY_BE_NOTHING = (*MAY_BE_NOTHING, "D8 decoded", "D8 libwebrtc decoded")
"""In a second, stock aiortc may show none at all."""


def name_of(benchmark: ModuleType) -> str:
    return benchmark.__name__.rpartition(".")[2]


@pytest.mark.parametrize(
    "benchmark", [one for one in BENCHMARKS if IS_ALL or name_of(one) not in DEAR], ids=name_of
)
def test_a_benchmark_measures_its_part_and_its_peer(benchmark: ModuleType):
    try:
        results = results_of(benchmark, SHORT)
    except NotHere as error:
        pytest.skip(str(error))
    for result in results:
        assert len(result.own_runs) == SHORT.runs
        is_difference = result.id.startswith("part ") or result.id == "D2 added"
        assert result.value > 0 or is_difference or result.id in MAY_BE_NOTHING
        assert (result.peer_value or 0) > 0 or not result.peer or result.id in PEER_MAY_BE_NOTHING
    missing = missing_peer(results[0].id)
    if missing:
        pytest.skip(f"measured without its peer: {missing}")
    assert results[0].peer_runs or results[0].id in ALONE


def missing_peer(id_: str) -> str:
    """Say which program isn't there that this result is measured against."""
    if id_ == "D2" and not shutil.which("ffmpeg"):
        return "there is no ffmpeg (apt install ffmpeg)"
    if id_ in ("D6", "D7", "D9"):
        return lacks_peers()
    if id_ == "L5 append":
        return witness_peer.reason_against()
    if id_ == "D1":
        try:
            circular.outputs()
        except circular.PeerMissing as error:
            return str(error)
    return ""


def example(goal: Goal | None = None) -> Result:
    return Result(
        id="X1",
        what="count to ten",
        unit="µs",
        peer="nobody",
        own_runs=[Run(times_ns=[us * 1000] * 100) for us in (4, 2, 9)],
        peer_runs=[Run(times_ns=[us * 1000] * 100) for us in (2, 1, 8)],
        goal=goal,
        all_readings=(4.0, 2.0, 9.0),
    )


def alone(goal: Goal | None = None) -> Result:
    return Result(
        id="X2",
        what="weigh",
        unit="MB",
        own_runs=[Readings(values=[megabytes]) for megabytes in (120.0, 140.0, 130.0)],
        goal=goal,
        note="Nobody else weighs that.",
        points=[Point(size=5, value=90.0), Point(size=10, value=130.0, peer_value=170.0)],
        axis="ring, s",
    )


def entry(result: Result, benchmark: str = "counting", date: dt.date = DATE) -> Entry:
    setting = Setting(date=date, machine="An abacus", load=0.5, nice=0, commit="0123456789")
    return entry_of(result, benchmark=benchmark, setting=setting)


def test_a_result_is_the_median_of_its_runs_and_its_ratio_to_the_peer():
    result = example()
    assert (result.value, result.peer_value, result.ratio, result.p99) == (4.0, 2.0, 2.0, 4.0)
    assert result.is_met is None


def test_a_result_may_have_no_peer_and_be_something_else_than_a_time():
    result = alone()
    assert (result.value, result.peer_value, result.ratio, result.p99) == (130.0, None, None, None)


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (Goal(value=4.0), True),
        (Goal(value=3.9), False),
        (Goal(value=4.0, p99=4.0), True),
        (Goal(value=4.0, p99=3.9), False),
        (Goal(ratio=2.0), True),
        (Goal(ratio=1.9), False),
        (Goal(value=4.0, ratio=1.9), False),
        (Goal(over_peer=2.0), True),
        (Goal(over_peer=1.9), False),
        (Goal(highest=9.0), True),
        (Goal(highest=8.9), False),
    ],
)
def test_a_goal_is_met_when_median_p99_and_ratio_stay_within_it(goal: Goal, is_met: bool):
    assert example(goal).is_met is is_met


@pytest.mark.parametrize(
    "goal", [Goal(ratio=2.0), Goal(p99=200.0), Goal(over_peer=2.0), Goal(highest=200.0)]
)
def test_whether_a_goal_is_met_can_not_be_told_without_what_it_is_about(goal: Goal):
    assert alone(goal).is_met is None
    assert alone(replace(goal, value=100.0)).is_met is False


def test_work_that_ended_before_it_began_is_refused():
    with pytest.raises(ValueError, match="ended before it began"):
        Run(times_ns=[5_000, -1])


def test_a_benchmark_that_failed_is_named_below_the_table():
    text = as_markdown([entry(example())], {"whole": FAILED})
    assert "- **whole** failed in this run" in text


def test_what_this_machine_lacks_and_what_fails_leaves_the_others_results_and_is_named():
    def measure_nowhere(_: Size) -> Result:
        raise NotHere("there is no Chromium")

    def measure_badly(_: Size) -> Result:
        raise RuntimeError("broken")

    benchmarks = [ModuleType(name) for name in ("nowhere", "badly", "well")]
    for benchmark, measure in zip(
        benchmarks, (measure_nowhere, measure_badly, lambda _: example()), strict=True
    ):
        benchmark.measure = measure
    results, lacking = measure_all(["nowhere", "badly", "well"], SHORT, benchmarks)

    assert {name: one.id for name, (one,) in results.items()} == {"well": "X1"}
    assert lacking == {"nowhere": "wasn't measured: there is no Chromium", "badly": FAILED}


def test_both_files_say_that_nothing_was_measured_on_a_pi():
    entries = [entry(example(Goal(value=3.0)))]
    (told,) = json.loads(as_json(entries))
    assert "not measured on a Pi" in told["machine"]
    assert "Not measured on a Pi" in as_markdown(entries)
    assert (told["value"], told["min"], told["max"], told["met"]) == (4.0, 2.0, 9.0, False)


def test_both_files_tell_notes_points_and_what_has_no_peer():
    entries = [entry(example()), entry(alone(Goal(value=150.0)))]
    text = as_markdown(entries)
    told = json.loads(as_json(entries))[1]
    assert (
        "| X2 | weigh | 3 | 130 MB (120–140) | – | – | – | – | ≤ 150 MB: met | A, 2026-01-02, 0.5 |"
        in text
    )
    assert "- **X2**: Nobody else weighs that." in text
    assert "images/bench-X2.svg" in text
    assert (told["peer"], told["ratio"], told["met"]) == (None, None, True)
    assert told["points"][1] == {"size": 10, "value": 130.0, "peer_value": 170.0}


def test_what_is_measured_anew_replaces_all_of_its_benchmark_and_leaves_the_others():
    before = [entry(example(), "counting"), entry(alone(), "weighing"), entry(alone(), "gone")]
    later = DATE + dt.timedelta(days=1)
    anew = [entry(replace(example(), id="X1 again"), "counting", later)]
    entries = merged(parse_entries(as_json(before).encode()), anew, ["weighing", "counting"])
    assert [(one.id, one.date) for one in entries] == [
        ("X2", "2026-01-02"),
        ("X1 again", "2026-01-03"),
    ]
    assert all(f"| A, {one.date}, 0.5 |" in as_markdown(entries) for one in entries)


def test_each_row_names_its_machine_its_load_and_its_commit():
    here = entry(example())
    there = msgspec.structs.replace(entry(alone()), machine="A slide rule; not measured on a Pi")
    text = as_markdown([here, there])
    assert "- **A**: A slide rule; not measured on a Pi\n- **B**: An abacus" in text
    assert "| B, 2026-01-02, 0.5 |" in text
    assert "| A, 2026-01-02, 0.5 |" in text
    assert json.loads(as_json([here]))[0]["commit"] == "0123456789"


def test_goals_that_nobody_measures_are_named_with_why_until_somebody_does():
    text = as_markdown([entry(example())])
    assert "| L1 shared | events a second" in text
    assert all(one.why in text for one in NOT_MEASURED)
    assert "| events a second" not in as_markdown([entry(replace(example(), id="L1 shared"))])


def test_what_a_pi_will_pay_is_each_parts_share_times_the_boards_factor():
    ring = replace(alone(), id="part ring", what="keep", unit="% of a core")
    rows = [replace(ring, own_runs=[Readings(values=[0.5])]), replace(ring, id="part ring memory")]
    text = as_markdown([entry(row) for row in rows])
    (zero, *_) = BOARDS
    assert zero.factor == pytest.approx(12.6)
    assert "Computed, not measured on a Pi" in text
    assert "| ring | keep | 0.5 % | 6.3 % | 4.5 % | 2.1 % | 1.1 % |" in text
    assert "| ring | keep | 130 MB |" in text
    assert "| part ring |" not in text


def test_a_plot_has_a_point_for_each_size_of_part_and_peer():
    plot = as_svg(alone())
    texts = set(re.findall("<text [^>]*>([^<]*)</text>", plot))
    assert plot.count("<circle ") == 3
    assert {"5", "10", "ring, s", "X2, MB"} <= texts
