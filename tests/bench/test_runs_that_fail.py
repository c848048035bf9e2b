"""What the benchmarks' processes do when one is slow, broken or hangs, and their common camera."""

import asyncio
import itertools
import time
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from tests.bench.children import Child
from tests.bench.feed import write_unit
from tests.bench.measuring import needed, tried
from tests.bench.peers.film_camera import FilmCamera
from tests.bench.senders import Senders
from tests.fakes.waiting import PATIENCE_S

SAYS = """\
import sys, time
for word in sys.argv[1:]:
    print('{"word": "%s"}' % word, flush=True)
sys.stdin.read()
"""
HANGS = """\
import time
print('{"wo', end="", flush=True)
time.sleep(8)
"""


def child(folder: Path, code: str, *arguments: str) -> Child:
    (folder / "child_of_a_test.py").write_text(code)
    return Child(
        "child_of_a_test", *arguments, prefix=["env", f"PYTHONPATH={folder}", "PYTHONSAFEPATH=1"]
    )


def film(folder: Path, *, pictures: int, keys: Container[int]) -> Path:
    path = folder / "film"
    with path.open("wb") as file:
        for number in range(pictures):
            is_key, data = number in keys, b"%d" % number
            write_unit(file, AccessUnit(pts_90k=number, is_key=is_key, data=data))
    return path


def test_a_child_is_heard_line_by_line_and_what_is_left_at_its_end(tmp_path: Path):
    talking = child(tmp_path, SAYS, "one", "two", "three")
    assert [talking.hear("word"), talking.hear("word")] == ["one", "two"]
    assert talking.hear_all() == [{"word": "three"}]
    talking.end()


def test_a_child_that_hangs_in_the_middle_of_a_line_is_given_up_in_time(tmp_path: Path):
    hanging = child(tmp_path, HANGS)
    with pytest.raises(TimeoutError, match="word didn't come in time"):
        hanging.hear("word", within_s=1.0)
    hanging.end()


def test_a_run_that_fails_once_is_done_again_and_one_that_fails_twice_gives_nothing():
    outcomes = iter([TimeoutError("hangs"), 5.0, TimeoutError("hangs"), TimeoutError("hangs")])

    def run() -> float:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert tried(run, "this") == 5.0
    assert tried(run, "that") is None


def test_a_benchmark_without_any_number_of_its_own_part_fails():
    with pytest.raises(RuntimeError, match="no run of D7 gave a number"):
        needed([], "D7")


@dataclass
class FakePage:
    """Implements what `Senders.tried` needs of a viewer and of its page."""

    reloads: int = 0

    @property
    def page(self) -> "FakePage":
        return self

    async def reload(self) -> None:
        self.reloads += 1


@dataclass
class FakeChild:
    """Implements what `Senders` needs of a child."""

    ended: list[str] = field(default_factory=list)

    def hear(self, word: str, *, within_s: float) -> bool:  # noqa: ARG002
        return True

    def end(self) -> None:
        self.ended.append("ended")


@pytest.mark.parametrize(("failures", "gives"), [(0, 7), (1, 7), (2, None)])
async def test_a_sender_that_fails_is_started_anew_and_the_page_too(
    failures: int, gives: int | None
):
    started: list[FakeChild] = []
    page, left = FakePage(), itertools.count()

    def start(_: str) -> FakeChild:
        started.append(FakeChild())
        return started[-1]

    async def watch() -> int:
        await asyncio.sleep(0)
        if next(left) < failures:
            raise TimeoutError
        return 7

    senders = Senders(start)  # type: ignore[arg-type]
    assert await senders.tried("peer", page, watch) == gives  # type: ignore[arg-type]
    assert page.reloads == failures
    assert sum(len(one.ended) for one in started) == failures


def test_the_camera_makes_no_key_frame_within_half_a_second_however_many_ask(tmp_path: Path):
    keys: list[int] = []
    camera = FilmCamera(film(tmp_path, pictures=300, keys=[0]))
    camera.start(lambda unit: keys.append(unit.pts_90k) if unit.is_key else None)
    end_s = time.monotonic() + PATIENCE_S
    while len(keys) < 3 and time.monotonic() < end_s:
        camera.request_key_frame()
        time.sleep(0.005)
    camera.stop()

    assert len(keys) >= 3
    assert min(b - a for a, b in itertools.pairwise(keys)) > 0.45 * TICKS_PER_S


def test_a_key_frame_that_comes_by_itself_fulfils_a_request_that_waits(tmp_path: Path):
    handed: list[AccessUnit] = []
    camera = FilmCamera(film(tmp_path, pictures=60, keys=[0, 12]))

    def take(unit: AccessUnit) -> None:
        handed.append(unit)
        if len(handed) == 6:
            camera.request_key_frame()

    camera.start(take)
    end_s = time.monotonic() + PATIENCE_S
    while len(handed) < 40 and time.monotonic() < end_s:
        time.sleep(0.005)
    camera.stop()

    assert len(handed) >= 40
    assert [unit.data for unit in handed[:40] if unit.is_key] == [b"0", b"12"]
