"""The parts' script for a real Pi, as far as it runs without one."""

import json
import subprocess
import sys

import pytest

from firmware.capture.board import OTHER, PI_4, ZERO_2_W
from tests.bench.pi import BOARDS
from tests.on_device import parts
from tests.on_device.parts import Row, beside, expected, main, reason_against, table, viewer_rows

ENTRY = {
    "what": "w",
    "min": 1.0,
    "max": 1.0,
    "p99": None,
    "peer": None,
    "peer_value": None,
    "peer_min": None,
    "peer_max": None,
    "ratio": None,
    "goal": None,
    "met": None,
    "note": None,
    "by": None,
    "points": [],
    "runs": 5,
    "command": "make bench",
    "benchmark": "whole",
    "date": "2026-11-30",
    "machine": "m",
}
ROW = Row(id="part ring", what="hub and ring", value=4.0, unit="% of a core", computed=None)


def benchmarks(**values: float) -> bytes:
    return json.dumps(
        [{**ENTRY, "id": id_.replace("_", " "), "value": value, "unit": "%"}
         for id_, value in values.items()]
    ).encode()  # fmt: skip


def test_on_another_machine_it_says_why_it_measures_nothing(tmp_path, capsys):
    assert main(["--folder", str(tmp_path / "card")]) == 0
    assert capsys.readouterr().out.startswith("skipped: this is a machine that is no Raspberry Pi")
    assert list(tmp_path.iterdir()) == []


def test_an_environment_without_what_it_needs_is_a_reason():
    assert reason_against(OTHER)
    assert reason_against(PI_4, has=lambda _: True) == ""
    assert "cbor2" in reason_against(PI_4, has=lambda name: name != "cbor2")


def test_it_reads_what_was_computed_for_its_board_from_the_benchmarks():
    text = benchmarks(part_ring=0.5, part_ring_memory=3.0, D13=4.0)
    (factor,) = [one.factor for one in BOARDS if one.profile == ZERO_2_W.name]
    assert expected(text, ZERO_2_W.name) == {
        "part ring": pytest.approx(0.5 * factor),
        "part ring memory": 3.0,
    }


def test_the_published_benchmarks_can_be_read():
    assert isinstance(expected(parts.BENCHMARKS.read_bytes(), PI_4.name), dict)


def test_each_row_stands_beside_what_was_computed_for_it():
    other = Row(id="part gone", what="nothing", value=1.0, unit="MB", computed=None)
    rows = beside([ROW, other], {"part ring": 6.3})
    assert [row.computed for row in rows] == [6.3, None]
    measured, unknown = table(rows).splitlines()[1:]
    assert measured.split()[:4] == ["part", "ring", "4", "6.3"]
    assert unknown.split()[:4] == ["part", "gone", "1", "–"]


KEEPS_40_MB_WHEN_TOLD = """
import os
input()
kept = os.urandom(40_000_000)
print("kept", flush=True)
input()
"""


def test_a_viewer_is_what_a_running_doorbell_takes_more():
    """A process of its own stands for the doorbell: what this one frees doesn't count."""
    with subprocess.Popen(
        [sys.executable, "-c", KEEPS_40_MB_WHEN_TOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as doorbell:
        told, said = doorbell.stdin, doorbell.stdout
        assert told is not None
        assert said is not None

        def watch() -> None:
            print(file=told, flush=True)
            assert said.readline() == "kept\n"

        cpu, memory = viewer_rows(doorbell.pid, 0.05, wait_for_viewer=watch)
        told.close()
    assert (cpu.id, memory.id) == ("part viewer", "part viewer memory")
    assert memory.value > 30
