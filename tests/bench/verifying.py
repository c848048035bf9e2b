"""Checking evidence: `doorward-verify` as a program, from its start to its exit code."""

import subprocess
import sys
import tempfile
from pathlib import Path

from relay.verify.checks import Exit
from tests.bench.film import FPS, grainy_film, repeated
from tests.bench.measuring import Goal, Result, Size, timed
from tests.fakes.footage import clip_units
from tests.relay.evidence_files import Film, Written, make_evidence
from tests.vectors.make_sound import units_of_sound

WIDTH, HEIGHT, BITRATE_BPS = 1920, 1080, 4_000_000
CHECK = "import sys; from relay.verify.cli import main; sys.exit(main())"
GOAL = Goal(value=1.0)
NOTE = "Every check is made and holds: hashes, signatures, both logs, and what the register said."


def measure(size: Size) -> list[Result]:
    """Check one clip, opened before and sealed; each time a process of its own."""
    film = _film(size.video_s)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        written = make_evidence(film=film, has_audio=True).write(Path(name))
        of_clip = f"a clip of {size.video_s} s, 1080p{FPS} at {BITRATE_BPS / 1e6:g} Mbit/s"
        return [
            Result(
                id=id_,
                what=f"doorward-verify: {of_clip}, {how}",
                unit="s",
                own_runs=[timed(lambda what=what: _check(written, what)) for _ in range(size.runs)],
                goal=GOAL,
                note=NOTE if id_ == "verify" else "",
            )
            for id_, how, what in (
                ("verify", "opened before", written.opened),
                ("verify sealed", "with the agency's key", written.package),
            )
        ]


def _film(seconds: int) -> Film:
    shown = grainy_film(WIDTH, HEIGHT, BITRATE_BPS).units
    film = Film(with_sound=False)
    film.width, film.height = WIDTH, HEIGHT
    film.units = clip_units(repeated(shown, seconds * FPS // len(shown) + 1)[: seconds * FPS])
    film.sound = units_of_sound(seconds)
    return film


def _check(written: Written, what: Path) -> None:
    words = [sys.executable, "-c", CHECK, str(what), *written.all_given]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != Exit.HOLDS:
        raise RuntimeError(f"evidence to measure with was refused: {done.stdout}{done.stderr}")
