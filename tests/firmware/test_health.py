"""firmware.health: what the board says, what is told of it, and how seldom."""

import asyncio
import time
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.clips.record import StorageState
from firmware.errors import StoreError
from firmware.health.ladder import HeatLadder
from firmware.health.linux import (
    LinuxBoard,
    parse_memory_free,
    parse_signal_dbm,
    parse_throttled,
)
from firmware.health.monitor import ClipFacts, HealthMonitor
from firmware.health.readings import Reading, Throttling
from firmware.health.reporter import TroubleReporter
from firmware.health.trouble_texts import trouble_began_text, trouble_over_text
from firmware.health.troubles import HOLDS, MAX_END_S, Troubles
from firmware.protocol.encoding import decode, new_id
from firmware.protocol.events import (
    CameraState,
    Event,
    EventBody,
    Health,
    Trouble,
    TroubleCode,
)
from tests.fakes.board import ManualBoard, lay_out_board, write_program
from tests.fakes.clock import ManualClock
from tests.fakes.ownership import Owned
from tests.fakes.waiting import PATIENCE_S

WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   58.  -52.  -256        0      0      0      0     12        0
"""
MEMINFO = "MemTotal:         436252 kB\nMemFree:           80000 kB\nMemAvailable:     201344 kB\n"
PI = {
    "sys/class/thermal/thermal_zone0/temp": "51540\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
    "proc/net/wireless": WIRELESS,
    "proc/meminfo": MEMINFO,
}
NO_VCGENCMD = ("/nowhere/vcgencmd",)


class Camera:
    """Implements `monitor.WatchedCamera`."""

    def __init__(self) -> None:
        self.state: CameraState = "working"
        self.fps_milli = 29_970
        self.recent_gaps_ms: list[int] = []
        self.max_fps: list[int] = []

    async def set_max_fps(self, fps: int) -> None:
        self.max_fps.append(fps)


class Bench:
    """A monitor whose board, camera, card and clock a test moves."""

    def __init__(
        self,
        *,
        kept_in: Path | None = None,
        look_every_s: float = 10,
        tell_patience_s: float = 5,
        gaps_reported: int = 3,
    ) -> None:
        self.board = ManualBoard()
        self.camera = Camera()
        self.clock = ManualClock()
        self.clip_facts = ClipFacts()
        self.published: list[Health] = []
        self.told: list[Trouble] = []
        self.owners = Owned()
        self.is_outbox_full = False
        self.is_card_stuck = asyncio.Event()
        self.facts_error: OSError | None = None
        self.has_failed = False
        self.has_contradiction = False
        reporter = TroubleReporter(
            Troubles(kept_in=kept_in),
            camera=self.camera,
            events=self,
            owners=self.owners,
            clock=self.clock,
            patience_s=tell_patience_s,
        )
        self.monitor = HealthMonitor(
            board=self.board,
            camera=self.camera,
            clips=self,
            ladder=HeatLadder(30),
            reporter=reporter,
            clock=self.clock,
            sound=self,
            sources=[self],
            gaps_reported=gaps_reported,
            look_every_s=look_every_s,
        )
        self.monitor.published.add(self.published.append)

    @property
    def present_troubles(self) -> list[TroubleCode]:
        return ["register"] if self.has_contradiction else []

    def facts(self) -> ClipFacts:
        if self.facts_error is not None:
            raise self.facts_error
        return self.clip_facts

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        assert isinstance(body, Trouble)
        while self.is_card_stuck.is_set():  # noqa: ASYNC110 (as firmware.outbox.publisher tries again)
            await asyncio.sleep(0.01)
        if self.is_outbox_full:
            raise StoreError(Path("outbox.sqlite3"), "can't be written: the card is full")
        event = Event(
            id=event_id or new_id(),
            device="a" * 20,
            seq=1,
            time_ms=1,
            is_clock_trusted=True,
            body=body,
        )
        assert decode(Event, event.encode()) == event
        self.told.append(body)
        return event

    async def look_for(self, seconds: float, step_s: float = 10) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            await self.monitor.look()

    def codes(self) -> list[tuple[str, bool]]:
        return [(trouble.code, trouble.is_over) for trouble in self.told]


def test_a_pi_says_everything(tmp_path: Path) -> None:
    board = LinuxBoard(tmp_path, root=lay_out_board(tmp_path, PI), vcgencmd=NO_VCGENCMD)
    reading = board.read()
    assert reading.temperature_milli_c == 51_540
    assert reading.throttling == Throttling(0x50005)
    assert reading.signal_dbm == -52
    assert reading.memory_free_bytes == 201_344 * 1024
    assert reading.card_total_bytes is not None
    assert reading.card_free_bytes is not None
    assert 0 < reading.card_free_bytes <= reading.card_total_bytes


def test_what_a_machine_doesnt_know_is_none(tmp_path: Path) -> None:
    board = LinuxBoard(tmp_path / "no card", root=tmp_path / "nothing", vcgencmd=NO_VCGENCMD)
    assert board.read() == board.read() == Reading()


def test_this_machine_can_be_read_at_once(tmp_path: Path) -> None:
    took_s = []
    for _ in range(5):  # a busy machine may be late once
        began_s = time.monotonic()
        reading = LinuxBoard(tmp_path, vcgencmd=NO_VCGENCMD).read()
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < 0.5
    assert reading.memory_free_bytes is not None


def test_vcgencmd_is_asked_where_sysfs_has_no_bits(tmp_path: Path) -> None:
    program = write_program(
        tmp_path / "vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0x50004\n'
    )
    board = LinuxBoard(tmp_path, root=tmp_path, vcgencmd=(str(program), "get_throttled"))
    assert board.read().throttling == Throttling(0x50004)


@pytest.mark.parametrize("text", ["echo VCHI initialization failed; exit 255", "kill -9 $$"])
def test_a_vcgencmd_that_fails_is_not_known(tmp_path: Path, text: str) -> None:
    program = write_program(tmp_path / "vcgencmd", text + "\n")
    board = LinuxBoard(tmp_path, root=tmp_path, vcgencmd=(str(program),))
    assert board.read().throttling is None


@pytest.mark.parametrize(("alarm", "is_weak"), [("0\n", False), ("1\n", True)])
def test_the_kernels_voltage_monitor_is_believed(tmp_path: Path, alarm: str, is_weak: bool) -> None:
    files = {
        "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
        "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm": alarm,
    }
    board = LinuxBoard(tmp_path, root=lay_out_board(tmp_path, files), vcgencmd=NO_VCGENCMD)
    throttling = board.read().throttling
    assert throttling is not None
    assert throttling.has_weak_power == is_weak


@pytest.mark.parametrize(
    ("bits", "weak_now", "weak_before", "is_throttled"),
    [
        (0x0, False, False, False),
        (0x1, True, True, False),
        (0x2, False, False, True),
        (0x4, False, False, True),
        (0x8, False, False, True),
        (0x10000, False, True, False),
        (0x50005, True, True, True),
        (0xE0000, False, False, False),
    ],
)
def test_the_bits_mean_what_the_documentation_says(
    bits: int, weak_now: bool, weak_before: bool, is_throttled: bool
) -> None:
    throttling = Throttling(bits)
    assert throttling.has_weak_power == weak_now
    assert throttling.had_weak_power == weak_before
    assert throttling.is_throttled == is_throttled


@given(st.text(max_size=400))
def test_the_parsers_take_any_text(text: str) -> None:
    for parse in (parse_throttled, parse_signal_dbm, parse_memory_free):
        value = parse(text)
        assert value is None or isinstance(value, int)


@given(st.integers(min_value=0, max_value=0xFFFFF))
def test_both_forms_of_the_bits_are_read(bits: int) -> None:
    assert parse_throttled(f"throttled=0x{bits:x}\n") == parse_throttled(f"{bits:x}\n") == bits


def test_a_card_that_is_not_wireless_has_no_signal() -> None:
    assert parse_signal_dbm("\n".join(WIRELESS.splitlines()[:2])) is None
    assert parse_signal_dbm(WIRELESS.replace("-52.", " 40.")) is None


async def test_sound_that_fails_is_told_once_it_lasts_and_when_it_works_again() -> None:
    bench = Bench()
    bench.has_failed = True
    await bench.monitor.look()
    assert bench.codes() == []
    await bench.look_for(20)
    bench.has_failed = False
    await bench.look_for(60)
    assert bench.codes() == [("sound", False), ("sound", True)]


async def test_a_register_that_contradicts_itself_is_told_at_once() -> None:
    bench = Bench()
    bench.has_contradiction = True
    await bench.monitor.look()
    assert bench.codes() == [("register", False)]
    assert "keeps the proof" in bench.told[0].detail
    bench.has_contradiction = False
    await bench.look_for(90)
    assert bench.codes() == [("register", False), ("register", True)]


@pytest.mark.parametrize("code", get_args(TroubleCode))
@pytest.mark.parametrize("camera", get_args(CameraState))
def test_every_trouble_is_a_sentence_that_fits_its_event(
    code: TroubleCode, camera: CameraState
) -> None:
    for is_over, sentence in (
        (False, trouble_began_text(code, camera)),
        (True, trouble_over_text(code)),
    ):
        trouble = Trouble(code=code, is_over=is_over, detail=sentence)
        assert msgspec.json.decode(trouble.encode(), type=Trouble) == trouble
        assert sentence.endswith(".")
        assert len(sentence) > 15


async def test_health_is_published_each_minute_and_at_once_on_a_change() -> None:
    bench = Bench()
    await bench.monitor.look()
    await bench.look_for(50)
    assert len(bench.published) == 1
    await bench.look_for(10)
    assert len(bench.published) == 2
    bench.camera.state = "missing"
    await bench.look_for(10)
    assert [health.camera for health in bench.published] == ["working", "working", "missing"]


async def test_a_change_is_looked_at_before_its_time() -> None:
    bench = Bench(look_every_s=5)
    task = asyncio.create_task(bench.monitor.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not bench.published:  # noqa: ASYNC110 - looks at another task's list
                await asyncio.sleep(0.01)
            bench.camera.state = "frozen"
            bench.monitor.check_now()
            while len(bench.published) < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
    assert bench.published[-1].camera == "frozen"


async def test_health_says_what_was_measured() -> None:
    bench = Bench()
    bench.board.reading = Reading(
        temperature_milli_c=61_000,
        throttling=Throttling(0x10000),
        card_free_bytes=5,
        card_total_bytes=9,
        signal_dbm=-70,
        memory_free_bytes=1_000,
    )
    bench.clip_facts = ClipFacts(sync_p99_ms=12, clip_count=3, oldest_clip_ms=77)
    health = await bench.monitor.look()
    assert health == Health(
        measured_ms=bench.clock.wall_ms(),
        camera="working",
        fps_milli=29_970,
        max_fps=30,
        temperature_milli_c=61_000,
        has_weak_power=False,
        had_weak_power=True,
        is_throttled=False,
        card_free_bytes=5,
        card_total_bytes=9,
        sync_p99_ms=12,
        signal_dbm=-70,
        is_clock_trusted=True,
        memory_free_bytes=1_000,
        clip_count=3,
        oldest_clip_ms=77,
    )
    assert decode(Health, health.encode()) == health


async def test_a_camera_that_skips_pictures_is_told_in_words_and_a_hiccup_is_not() -> None:
    bench = Bench()
    bench.camera.recent_gaps_ms = [400, 1_200]
    health = await bench.monitor.look()
    assert (health.gap_count, health.longest_gap_ms) == (2, 1_200)
    assert bench.codes() == []
    bench.camera.recent_gaps_ms = [400, 1_200, 300]
    await bench.look_for(60)
    assert bench.codes() == [("camera_gaps", False)]
    assert "skips pictures" in bench.told[0].detail
    bench.camera.recent_gaps_ms = []
    await bench.look_for(700)
    assert bench.codes() == [("camera_gaps", False), ("camera_gaps", True)]


@pytest.mark.parametrize(("gaps_reported", "is_told"), [(0, False), (1, True), (2, False)])
async def test_owners_say_how_many_gaps_are_reported(gaps_reported: int, is_told: bool) -> None:
    bench = Bench(gaps_reported=gaps_reported)
    bench.camera.recent_gaps_ms = [400]
    health = await bench.monitor.look()
    assert health.gap_count == 1
    assert (bench.codes() == [("camera_gaps", False)]) is is_told


async def test_weak_power_is_remembered_though_the_kernel_clears_its_bit() -> None:
    bench = Bench()
    bench.board.reading = Reading(throttling=Throttling(0x1))
    await bench.monitor.look()
    bench.board.reading = Reading(throttling=Throttling(0))
    health = await bench.monitor.look()
    assert (health.has_weak_power, health.had_weak_power) == (False, True)


async def test_heat_slows_the_camera_once_and_is_told_in_words() -> None:
    bench = Bench()
    bench.board.reading = Reading(temperature_milli_c=84_000)
    await bench.look_for(60)
    assert bench.camera.max_fps == [10]
    assert bench.published[0].max_fps == 10
    assert bench.codes() == [("too_hot", False)]
    assert "shade" in bench.told[0].detail


async def test_a_trouble_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    bench = Bench()
    bench.board.reading = Reading(throttling=Throttling(0x1))
    await bench.look_for(600)
    bench.board.reading = Reading(throttling=Throttling(0))
    await bench.look_for(900)
    assert bench.codes() == [("power_weak", False), ("power_weak", True)]
    assert "5 V and 3 A" in bench.told[0].detail


async def test_each_state_of_camera_card_and_clock_has_its_trouble() -> None:
    bench = Bench()
    bench.camera.state = "missing"
    bench.monitor.set_card(StorageState(code="failing", detail="The card gives errors."))
    bench.clock.trusted = False
    await bench.look_for(400)
    assert set(bench.codes()) == {
        ("camera", False),
        ("card_failing", False),
        ("clock_unknown", False),
    }
    assert "cable" in next(told.detail for told in bench.told if told.code == "camera")


async def test_a_card_that_is_well_again_is_told_of_after_a_while() -> None:
    bench = Bench()
    bench.monitor.set_card(StorageState(code="slow", detail="The card is too slow."))
    await bench.look_for(20)
    bench.monitor.set_card(StorageState(code="ok", detail="The card keeps up."))
    await bench.look_for(700)
    assert bench.codes() == [("card_slow", False), ("card_slow", True)]


async def test_a_camera_that_is_back_within_seconds_is_no_news() -> None:
    bench = Bench()
    await bench.monitor.look()
    bench.camera.state = "frozen"
    await bench.look_for(6, step_s=2)
    bench.camera.state = "working"
    await bench.look_for(600)
    assert bench.told == []


async def test_a_supply_that_flaps_for_a_day_is_told_of_a_few_times_only() -> None:
    bench = Bench()
    for minute in range(24 * 60):
        bench.board.reading = Reading(throttling=Throttling(int(minute % 12 < 6)))
        await bench.look_for(60, step_s=60)
    assert 2 <= len(bench.told) <= 12


async def test_what_cant_be_told_now_is_told_later() -> None:
    bench = Bench()
    bench.monitor.set_card(StorageState(code="full", detail="The card is full."))
    bench.is_outbox_full = True
    await bench.look_for(100)
    assert bench.told == []
    bench.is_outbox_full = False
    await bench.look_for(10)
    assert bench.codes() == [("card_full", False)]


async def test_a_card_that_takes_nothing_holds_up_neither_looks_nor_the_ladder() -> None:
    bench = Bench(tell_patience_s=0.01)
    bench.monitor.set_card(StorageState(code="failing", detail="The card gives errors."))
    bench.is_card_stuck.set()
    async with asyncio.timeout(PATIENCE_S):
        await bench.look_for(20)
    bench.board.reading = Reading(temperature_milli_c=84_000)
    await bench.look_for(20)
    assert bench.camera.max_fps == [10]
    assert bench.published[-1].max_fps == 10
    assert bench.told == []
    bench.is_card_stuck.clear()
    await asyncio.sleep(0.05)
    await bench.look_for(20)
    assert ("card_failing", False) in bench.codes()


async def test_an_index_that_cannot_be_read_costs_only_what_it_knows() -> None:
    bench = Bench()
    bench.clip_facts = ClipFacts(clip_count=3)
    await bench.monitor.look()
    bench.facts_error = OSError(5, "disk I/O error")
    bench.board.reading = Reading(temperature_milli_c=84_000)
    health = await bench.monitor.look()
    assert (health.clip_count, health.max_fps) == (3, 10)


async def test_nothing_is_told_before_there_is_an_owner() -> None:
    bench = Bench()
    bench.owners.is_owned = False
    bench.camera.state = "missing"
    await bench.look_for(600)
    assert bench.told == []
    bench.owners.is_owned = True
    await bench.look_for(10)
    assert bench.codes() == [("camera", False)]


async def test_a_trouble_that_ended_during_a_restart_is_over_after_it(tmp_path: Path) -> None:
    kept_in = tmp_path / "troubles.json"
    before = Bench(kept_in=kept_in)
    before.camera.state = "missing"
    await before.look_for(60)
    assert before.codes() == [("camera", False)]
    again = Bench(kept_in=kept_in)
    again.camera.state = "missing"
    await again.look_for(60)
    assert again.told == []
    after = Bench(kept_in=kept_in)
    await after.look_for(60)
    assert after.codes() == [("camera", True)]


@pytest.mark.parametrize("damage", [b"", b"{}", b'["unheard of"]', b"[1]"])
def test_a_damaged_list_of_troubles_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "troubles.json").write_bytes(damage)
    assert Troubles(kept_in=tmp_path / "troubles.json").told == []


@given(st.lists(st.tuples(st.booleans(), st.floats(min_value=1, max_value=900)), max_size=80))
def test_begins_and_ends_always_take_turns_and_ends_are_never_hasty(
    steps: list[tuple[bool, float]],
) -> None:
    troubles, now_s, gone_since_s = Troubles(), 0.0, 0.0
    told: list[bool] = []
    for is_weak, wait_s in steps:
        now_s += wait_s
        troubles.see(["power_weak"] if is_weak else [], now_s)
        if is_weak:
            gone_since_s = now_s
        for news in troubles.due(now_s):
            troubles.mark_told(news, now_s)
            told.append(news.is_over)
            if news.is_over:
                assert now_s - gone_since_s >= HOLDS["power_weak"].end_s
    assert all(is_over == bool(number % 2) for number, is_over in enumerate(told))


def test_no_trouble_waits_longer_than_an_hour_to_be_over() -> None:
    troubles, now_s = Troubles(), 0.0
    for _ in range(40):
        troubles.see(["camera"], now_s)
        troubles.see(["camera"], now_s := now_s + 60)
        for news in troubles.due(now_s):
            troubles.mark_told(news, now_s)
        troubles.see([], now_s := now_s + 10)
        for news in troubles.due(now_s := now_s + MAX_END_S):
            troubles.mark_told(news, now_s)
        assert troubles.told == []
