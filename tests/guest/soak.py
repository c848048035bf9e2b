"""Buttons, light, chime and a V4L2 camera on a real kernel, in a virtual machine.

`pytest tests/guest/soak.py`, which `make soak` does: about two minutes, more at the first time.
"""

import itertools
import json
from typing import Any

import pytest

from tests.guest import machine

Facts = dict[str, Any]
DEBOUNCE_MS = 30
FRAME_90K = 90_000 // 5
PRE_ROLL_S, POST_ROLL_S = 3, 2


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Facts]:
    try:
        machine.prepare()
    except machine.Unavailable as reason:
        pytest.skip(f"no guest here: {reason}")
    out = tmp_path_factory.mktemp("out")
    console = machine.run(machine.HERE / "at_the_edges.py", out)
    said = (out / "said").read_text() if (out / "said").exists() else ""
    print(said)
    assert (out / "facts.json").exists(), f"the guest told nothing:\n{console[-3000:]}\n{said}"
    facts: dict[str, Facts] = json.loads((out / "facts.json").read_text())
    print(json.dumps(facts, indent=1))
    return facts


def part(guest: dict[str, Facts], name: str) -> Facts:
    facts = guest.get(name, {"error": "the guest ended before"})
    assert "error" not in facts, facts["error"]
    return facts


def test_sparks_are_no_press(guest: dict[str, Facts]) -> None:
    assert part(guest, "sparks")["presses"] == 0


def test_a_press_that_bounces_counts_once_and_has_the_time_of_its_last_bounce(
    guest: dict[str, Facts],
) -> None:
    facts = part(guest, "presses")
    assert facts["presses"] == 10
    assert all(0 <= late < 200 for late in facts["late_ms"])


def test_light_and_chime_reach_the_wire_and_the_chime_goes_off_by_itself(
    guest: dict[str, Facts],
) -> None:
    facts = part(guest, "outputs")
    assert facts["light"] == [0, 1, 0, 1]
    assert facts["light_closed"] == 0
    assert facts["chime"] == [0, 1, 0]


def test_the_drivers_time_stamps_are_on_our_clock_and_never_ahead_of_it(
    guest: dict[str, Facts],
) -> None:
    facts = part(guest, "stamps")
    assert all(abs(age) < 2000 for age in facts["ages_ms"])  # vivid's own run a little ahead
    assert all(0 <= age < 2000 for age in facts["taken_ms"])


def test_a_press_makes_one_clip_with_all_of_its_pre_roll_and_no_gap(
    guest: dict[str, Facts],
) -> None:
    facts = part(guest, "clip")
    assert facts["presses"] == 1
    assert facts["begins_with_key"]
    assert not facts["is_cut_short"]
    assert facts["pre_roll_ms"] >= PRE_ROLL_S * 1000
    assert facts["duration_ms"] - facts["pre_roll_ms"] >= POST_ROLL_S * 1000 - 2 * FRAME_90K / 90
    assert facts["decoded"] == len(facts["pts_90k"])
    gaps = [b - a for a, b in itertools.pairwise(facts["pts_90k"])]
    assert max(gaps) <= 1.5 * FRAME_90K


def test_in_that_clip_a_key_frame_comes_every_second(guest: dict[str, Facts]) -> None:
    facts = part(guest, "clip")
    times = [facts["pts_90k"][number] for number in facts["keys"]]
    assert all(b - a <= 90_000 + FRAME_90K // 2 for a, b in itertools.pairwise(times))


def test_nothing_behind_the_mask_is_in_that_clip(guest: dict[str, Facts]) -> None:
    facts = part(guest, "clip")
    assert facts["masked_off_by"] <= 2
    assert facts["shown_off_by"] > 100


def test_a_second_program_is_told_that_the_camera_is_busy(guest: dict[str, Facts]) -> None:
    assert part(guest, "clip")["busy"].startswith("busy: ")


def test_a_camera_that_is_pulled_out_falls_silent_says_why_and_films_when_it_is_back(
    guest: dict[str, Facts],
) -> None:
    facts = part(guest, "unplugged")
    assert facts["control"] == ""
    assert facts["filmed"] > 2
    assert facts["filmed_later"] == 0
    assert any("/dev/video0 gives no more pictures" in line for line in facts["said"])
    assert facts["again"] == "it started"  # vivid is back as soon as everybody has closed it
