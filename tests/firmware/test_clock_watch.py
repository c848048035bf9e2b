"""firmware.health.clock_watch: what was recorded before the doorbell knew the time is dated
exactly."""

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.errors import StoreError
from firmware.health.clock_watch import SAME_OFFSET_MS, ClockWatch
from firmware.outbox.queue import Outbox
from firmware.protocol.events import ClockSet, Event, EventBody, Pressed
from tests.fakes.clock import ManualClock

TRUE_MS = 1_790_000_000_000
YEARS_MS = 10 * 365 * 24 * 3600 * 1000


@dataclass
class Happened:
    """An event, and when it really was."""

    event: Event
    true_ms: int


class Bench:
    """A doorbell whose clock is wrong by `wrong_ms`, with a real outbox."""

    def __init__(self, path: Path, *, wrong_ms: int = -YEARS_MS, boot: str = "boot") -> None:
        self.path = path
        self.boot = boot
        self.clock = ManualClock(wall_ms=TRUE_MS + wrong_ms, is_trusted=False, boot_id=boot)
        self.wrong_ms = wrong_ms
        self.happened: list[Happened] = []
        self.clip_differences: list[int] = []
        self.is_card_full = False
        self.start()

    def start(self) -> None:
        self.outbox = Outbox(self.path, "a" * 20, boot=self.boot)
        self.watch = ClockWatch(
            clock=self.clock,
            outbox=self.outbox,
            events=self,
            undated=[self],
        )

    async def on_time_known(self, difference_ms: int) -> None:
        self.clip_differences.append(difference_ms)

    @property
    def true_difference_ms(self) -> int:
        """The right wall time minus monotonic time."""
        right_ms = self.clock.wall_ms() - self.wrong_ms
        return right_ms - self.clock.monotonic_ns() // 1_000_000

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        if self.is_card_full:
            raise StoreError(self.path, "can't be written: the card is full")
        return self.outbox.append(
            body,
            event_id=event_id,
            time_ms=self.clock.wall_ms(),
            is_clock_trusted=self.clock.is_trusted(),
            monotonic_ms=self.clock.monotonic_ns() // 1_000_000,
        )

    async def press(self, after_s: float = 0) -> Event:
        self.clock.advance(after_s)
        event = await self.publish(Pressed())
        self.happened.append(Happened(event, self.clock.wall_ms() - self.wrong_ms))
        return event

    def step(self, by_ms: int) -> None:
        self.clock.set_wall_ms(self.clock.wall_ms() + by_ms)
        self.wrong_ms += by_ms

    async def learn_the_time(self) -> None:
        self.step(-self.wrong_ms)
        self.clock.trusted = True
        await self.watch.look()

    def clock_sets(self) -> list[ClockSet]:
        bodies = [event.body for event in self.outbox.pending(1000)]
        return [body for body in bodies if isinstance(body, ClockSet)]

    def dated(self, event: Event) -> int:
        """Return when an event was, as the relay finds it."""
        if event.is_clock_trusted:
            return event.time_ms
        (offset_ms,) = {
            told.offset_ms
            for told in self.clock_sets()
            if told.from_seq <= event.seq <= told.to_seq
        }
        return event.time_ms + offset_ms


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@pytest.mark.parametrize("wrong_ms", [-3_600_000, -YEARS_MS, YEARS_MS])
async def test_events_before_the_first_synchronisation_are_dated(path: Path, wrong_ms: int) -> None:
    bench = Bench(path, wrong_ms=wrong_ms)
    for _ in range(3):
        await bench.press(after_s=60)
    await bench.watch.look()
    assert bench.clock_sets() == []
    await bench.learn_the_time()
    await bench.press(after_s=5)
    assert bench.clock_sets() == [ClockSet(from_seq=1, to_seq=3, offset_ms=-wrong_ms)]
    assert [bench.dated(one.event) for one in bench.happened] == [
        one.true_ms for one in bench.happened
    ]
    assert bench.clip_differences == [bench.true_difference_ms]


async def test_what_was_dated_is_dated_once(path: Path) -> None:
    bench = Bench(path)
    await bench.press()
    await bench.learn_the_time()
    for _ in range(5):
        bench.clock.advance(10)
        await bench.watch.look()
    assert len(bench.clock_sets()) == 1
    assert len(bench.clip_differences) == 1


async def test_a_clock_that_was_set_several_times_gives_several_ranges(path: Path) -> None:
    bench = Bench(path)
    await bench.press(after_s=1)
    await bench.press(after_s=1)
    bench.step(7_000_000)
    await bench.press(after_s=1)
    bench.step(-90_000)
    await bench.press(after_s=1)
    await bench.learn_the_time()
    assert [(told.from_seq, told.to_seq) for told in bench.clock_sets()] == [(1, 2), (3, 3), (4, 4)]
    assert [bench.dated(one.event) for one in bench.happened] == [
        one.true_ms for one in bench.happened
    ]


async def test_a_restart_of_the_process_in_between_changes_nothing(path: Path) -> None:
    bench = Bench(path)
    await bench.press(after_s=1)
    bench.outbox.close()
    bench.clock.advance(30)
    bench.start()
    await bench.press(after_s=1)
    await bench.learn_the_time()
    assert bench.clock_sets() == [ClockSet(from_seq=1, to_seq=2, offset_ms=YEARS_MS)]


async def test_events_of_an_earlier_boot_keep_their_time(path: Path) -> None:
    before = Bench(path, boot="earlier")
    await before.press()
    before.outbox.close()
    after = Bench(path, wrong_ms=-5_000_000, boot="later")
    await after.press()
    await after.learn_the_time()
    assert after.clock_sets() == [ClockSet(from_seq=2, to_seq=2, offset_ms=5_000_000)]
    assert after.outbox.undated("earlier") == []


async def test_dating_is_tried_again_when_the_outbox_was_full(path: Path) -> None:
    bench = Bench(path)
    await bench.press()
    bench.is_card_full = True
    with pytest.raises(StoreError):
        await bench.learn_the_time()
    bench.is_card_full = False
    await bench.watch.look()
    assert len(bench.clock_sets()) == 1
    assert bench.clip_differences == [bench.true_difference_ms]


async def test_trust_that_was_lost_and_found_dates_what_lay_between(path: Path) -> None:
    bench = Bench(path, wrong_ms=0)
    bench.clock.trusted = True
    await bench.watch.look()
    bench.clock.trusted = False
    bench.step(-3_600_000)
    await bench.watch.look()
    await bench.press(after_s=9)
    await bench.learn_the_time()
    assert bench.clock_sets() == [ClockSet(from_seq=1, to_seq=1, offset_ms=3_600_000)]


@pytest.mark.parametrize(("by_ms", "word"), [(3_600_000, "forward"), (-3_600_000, "back")])
async def test_a_jump_of_a_trusted_clock_is_noticed(
    path: Path, caplog: pytest.LogCaptureFixture, by_ms: int, word: str
) -> None:
    caplog.set_level(logging.WARNING)
    bench = Bench(path, wrong_ms=0)
    bench.clock.trusted = True
    await bench.watch.look()
    bench.clock.advance(100)
    await bench.watch.look()
    assert bench.watch.jumps == ()
    bench.step(by_ms)
    await bench.watch.look()
    (jump,) = bench.watch.jumps
    assert (jump.by_ms, jump.was_trusted) == (by_ms, True)
    assert f"set {word} by 3600.0 s" in caplog.text


async def test_the_time_is_remembered_every_ten_minutes_while_it_is_trusted(path: Path) -> None:
    bench = Bench(path)
    await bench.watch.look()
    assert bench.clock.remembered == 0
    bench.clock.trusted = True
    for _ in range(240):
        bench.clock.advance(10)
        await bench.watch.look()
    assert bench.clock.remembered == 4


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.one_of(
            st.just("press"),
            st.just("restart"),
            st.integers(min_value=-YEARS_MS, max_value=YEARS_MS),
        ),
        max_size=20,
    )
)
async def test_however_the_clock_is_set_every_event_finds_its_true_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str | int]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("outbox") / "o.sqlite3", wrong_ms=-1_000_000)
    for step in steps:
        if step == "press":
            await bench.press(after_s=3)
        elif step == "restart":
            bench.outbox.close()
            bench.start()
        elif isinstance(step, int) and bench.clock.wall_ms() + step > 0:
            bench.step(step)
    await bench.learn_the_time()
    for one in bench.happened:
        assert abs(bench.dated(one.event) - one.true_ms) <= SAME_OFFSET_MS
    bench.outbox.close()
