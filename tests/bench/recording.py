"""Writing a clip to the disk, against the same bytes written and synced without looking at them."""

import itertools
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from firmware.capture.packets import AccessUnit
from firmware.clips.mp4 import FragmentWriter, sync_directory
from tests.bench.film import FPS, HEIGHT, WIDTH, film
from tests.bench.measuring import Result, Run, Size, in_turns


def measure(size: Size) -> Result:
    """Record the film as fast as it goes: muxed into fragments, each one synced."""
    units = film(size.video_s)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        folder = Path(name)
        pieces = _pieces(folder / "pieces.mp4", units)
        own, peer = in_turns(
            size.runs,
            lambda: _record(folder / "own.mp4", units),
            lambda: _copy(folder / "peer.mp4", pieces),
        )
    return Result(
        id="record",
        what=f"record {size.video_s} s of 720p{FPS}, already encoded, as fragmented MP4 with "
        f"{len(pieces)} syncs",
        unit="ms",
        peer="the same bytes in the same pieces by os.write, as many fdatasync",
        own_runs=own,
        peer_runs=peer,
    )


def _record(path: Path, units: Sequence[AccessUnit]) -> Run:
    begin_ns = time.perf_counter_ns()
    writer = FragmentWriter(path, width=WIDTH, height=HEIGHT)
    for unit in units:
        writer.write(unit)
    writer.close()
    end_ns = time.perf_counter_ns()
    path.unlink()
    return Run(times_ns=[end_ns - begin_ns])


def _pieces(path: Path, units: Sequence[AccessUnit]) -> list[bytes]:
    """Return what the recorder writes between one sync and the next."""
    writer = FragmentWriter(path, width=WIDTH, height=HEIGHT)
    ends = [0]
    for unit in units:
        writer.write(unit)
        ends.append(writer.size_bytes)
    writer.close()
    ends.append(writer.size_bytes)
    data = path.read_bytes()
    return [data[begin:end] for begin, end in itertools.pairwise(ends) if end > begin]


def _copy(path: Path, pieces: Sequence[bytes]) -> Run:
    begin_ns = time.perf_counter_ns()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    sync_directory(path.parent)
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fdatasync(descriptor)
    os.close(descriptor)
    end_ns = time.perf_counter_ns()
    path.unlink()
    return Run(times_ns=[end_ns - begin_ns])
