"""What is watched in an idle hour is counted, and written down beside the benchmarks."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import DOCS
from tests.bench.idle import (
    HEADING,
    Growth,
    IdleRun,
    ProgramAtRest,
    Setting,
    Town,
    as_json,
    as_markdown,
    growths_of,
    parse_runs,
    section_in,
    sizes_of,
    watch,
)
from tests.fakes.waiting import eventually

SYNCING = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    while True:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
        time.sleep(0.001)
"""


def a_run(*, minutes: float = 60) -> IdleRun:
    relay = ProgramAtRest(
        name="relay", cpu_percent=0.1, wakes_per_s=7.0, syncs_per_s=0.0, written_mb_per_h=1.5
    )
    store = Growth(name="store", begin_mb=1.0, half_mb=2.0, end_mb=2.5)
    town = Setting(name="A town", programs=[relay], growths=[store])
    return IdleRun(
        date="2026-01-02", machine="a machine", minutes=minutes, settings=[town], note="A."
    )


def test_a_program_that_writes_is_seen_to(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("there is no strace (apt install strace)")
    (tmp_path / "town").mkdir()
    written = tmp_path / "town" / "file"
    process = subprocess.Popen([sys.executable, "-c", SYNCING, str(written)])
    town = Town(name="A town", folder=tmp_path / "town", pids={"writer": process.pid})
    try:
        asyncio.run(eventually(lambda: written.exists() and written.stat().st_size > 0))
        seen = asyncio.run(watch(town, 1.5))
    finally:
        process.kill()
        process.wait()
    (writer,) = seen.programs
    assert writer.name == "writer"
    for counted in (writer.cpu_percent, writer.wakes_per_s, writer.syncs_per_s):
        assert counted > 0
    assert writer.written_mb_per_h > 0
    assert seen.growths[-1].end_mb > seen.growths[-1].begin_mb


def test_disk_space_is_counted_by_folder_and_a_databases_log_with_it(tmp_path: Path) -> None:
    for name in ("relay/a.sqlite3", "relay/a.sqlite3-wal", "store/x/1", "store/x/2", "alone"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(os.urandom(8192))
    sizes = sizes_of(tmp_path)
    assert sizes["relay/a.sqlite3"] == 2 * sizes["alone"]
    assert sizes["store"] >= 2 * sizes["alone"] >= 2 * 8192


def test_growths_are_sorted_with_the_whole_at_the_end() -> None:
    looks = [{"a": 1_000_000, "b": 0, "still": 7}, {"a": 1_000_000, "b": 1}, {"a": 9_000_000}]
    looks = [{"b": 0, "still": 7, **look} for look in looks]
    grown = growths_of(looks)
    assert [one.name for one in grown] == ["a", "**all**"]
    assert (grown[0].begin_mb, grown[0].half_mb, grown[0].end_mb) == (1.0, 1.0, 9.0)
    assert grown[0].mb_a_day(60) == 8 * 2 * 24


def test_a_run_is_written_as_the_last_section_and_read_again(tmp_path: Path) -> None:
    assert section_in(tmp_path) == ""
    run = a_run()
    (tmp_path / "idle.json").write_text(as_json([run]))
    assert parse_runs((tmp_path / "idle.json").read_bytes()) == [run]
    assert section_in(tmp_path) == HEADING + as_markdown(run)
    assert "| relay | 0.10 | 7.0 | 0.00 | 1.5 |" in section_in(tmp_path)
    assert "| store | 1.00 | 2.00 | 2.50 | 24 |" in section_in(tmp_path)


def test_the_documents_tell_of_the_same_run() -> None:
    section = section_in(DOCS)
    assert section
    assert (DOCS / "benchmarks.md").read_text().endswith(section)
