"""The notice for passers-by at the doorbell: its form, and when it is told anew."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.capture.video_source import Mask
from firmware.config.settings import ClipsConfig, MotionConfig, SoundConfig
from firmware.enrolment.browsers import EnrolledBrowser
from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.decisions import OwnerSettings, Zone
from firmware.protocol.door_notices import (
    MAX_OUTLINES,
    DoorNotice,
    DoorNoticeEnded,
    DoorNoticeTold,
    SignedDoorNotice,
    check_notice,
    check_told_notice,
    notice_id_of,
)
from firmware.protocol.encoding import WireError, b64u, canonical, decode
from firmware.protocol.events import NOTE_PLAIN_BYTES
from firmware.protocol.notes import OwnerNote, SettingsNow, SignedNote
from firmware.protocol.rights import Right, What
from firmware.transparency.door_notice import HOUR_MS, RENEWED_AFTER_MS, DoorNoticeKeeper
from tests.fakes.clock import ManualClock
from tests.fakes.door_notices import MASK, NOW_MS, NoticeWriter, Said, Told, keeper_of
from tests.fakes.sample_keys import X25519_KEY
from tests.story.browser import SoftBrowser

VECTOR = Path(__file__).parents[1] / "vectors" / "door_notices.json"
DEVICE, OTHER = "a" * 20, "b" * 20
WRITER = NoticeWriter()
TOLD = WRITER.tell(DEVICE)
CORNERS = [[at, at % 7] for at in range(32)]


def changed(signed: SignedDoorNotice, **changes: Any) -> SignedDoorNotice:
    """Return the notice with other words under the same signature."""
    said = json.loads(signed.notice)
    return SignedDoorNotice(
        notice=canonical({**said, **changes}).decode(), signature=signed.signature
    )


def test_a_notice_comes_back_as_it_was_signed_and_its_id_is_its_keys() -> None:
    told = decode(DoorNoticeTold, TOLD.encode())
    notice = check_told_notice(told, DEVICE)
    assert notice == WRITER.write()
    assert notice_id_of(notice.key) == WRITER.notice_id
    assert len(WRITER.notice_id) == 26
    assert NoticeWriter().notice_id != WRITER.notice_id


@pytest.mark.parametrize(
    "changes",
    [
        {"keep_days": 1},
        {"contact": "Eve"},
        {"masks": []},
        {"contact": ""},
        {"contact": "two\nlines"},
        {"contact": "x" * 201},
        {"masks": [MASK] * (MAX_OUTLINES + 1)},
        {"masks": [[[0, 0], [1, 1]]]},
        {"masks": [[[0, 0], [1001, 1], [1, 1]]]},
        {"recorders": -1},
        {"device": DEVICE},
        {"v": 2},
    ],
)
def test_what_was_changed_or_isnt_in_the_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        check_notice(changed(TOLD.signed, **changes))


def test_one_that_says_nobody_to_ask_is_refused_also_when_it_is_signed() -> None:
    with pytest.raises(WireError, match="whom to ask"):
        check_notice(WRITER.tell(DEVICE, contact="").signed)


def test_a_notice_is_of_the_doorbell_that_it_was_signed_for() -> None:
    """Seen to fail without the check of the binding."""
    with pytest.raises(WireError, match="another doorbell's"):
        check_told_notice(TOLD, OTHER)


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused(position: int, bit: int) -> None:
    data = bytearray(TOLD.encode())
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(WireError):
        check_told_notice(decode(DoorNoticeTold, bytes(data)), DEVICE)


@given(length=st.integers(0, len(TOLD.encode()) - 1))
def test_a_truncated_one_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        decode(DoorNoticeTold, TOLD.encode()[:length])


def test_the_longest_notice_fits_its_form() -> None:
    told = WRITER.tell(DEVICE, masks=[CORNERS] * MAX_OUTLINES, contact="\U0001f600" * 79)
    assert check_told_notice(decode(DoorNoticeTold, told.encode()), DEVICE).masks[-1] == CORNERS


@pytest.mark.parametrize("contact", ["x" * 201, "\U0001f600" * 79, '"' * 79, " ", "a\nb"])
def test_a_contact_that_owners_couldnt_be_told_of_is_refused(contact: str) -> None:
    with pytest.raises(WireError):
        decode(OwnerSettings, canonical({"revision": 1, "notice_contact": contact}))


@pytest.mark.parametrize("contact", ["\U0001f600" * 78, '"' * 78, "x" * 200])
def test_the_longest_settings_with_the_longest_contact_fit_into_a_note(contact: str) -> None:
    outline = [[1000, 1000 - at] for at in range(7)] + [[1000, 1000]]
    zones = [Zone(name="\U0001f600" * 24, corners=outline)] * 4
    settings = OwnerSettings(
        revision=2**53 - 1,
        is_opted_in=False,
        has_reminder=False,
        cell="8944a1b2c3fffff",
        masks=[outline] * 4,
        is_motion_on=False,
        zones=zones,
        sensitivity=10,
        min_size_pmyr=5000,
        min_time_ms=10_000,
        pre_roll_ms=30_000,
        post_roll_ms=120_000,
        longest_ms=120_000,
        keep_days=180,
        is_sound_in_live_view=False,
        is_sound_in_clips=False,
        is_microphone_off=False,
        gaps_reported=100,
        notice_contact=contact,
    )
    now = SettingsNow(statement_digest="a" * 64, settings=settings, at_ms=253_402_300_799_999)
    note = OwnerNote(
        device=DEVICE, id="a" * 26, told_ms=253_402_300_799_999, sealing_key=X25519_KEY, body=now
    )
    signed = SignedNote(note=note.encode().decode(), signature=b64u(bytes(72)))
    decode(OwnerSettings, settings.encode())
    assert len(signed.encode()) <= NOTE_PLAIN_BYTES


def test_the_golden_notice_is_read() -> None:
    vector = json.loads(VECTOR.read_text("utf-8"))
    told = decode(DoorNoticeTold, canonical(vector["told"]))
    notice = check_told_notice(told, vector["device"])
    assert (notice_id_of(notice.key), notice.contact) == (vector["notice_id"], "Åsa, vid dörren")


# --- when it is told ------------------------------------------------------------------------------


class Bench:
    """A keeper with a real store and a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said, self.told = folder, Said(), Told()
        self.clock = ManualClock(wall_ms=NOW_MS)
        self.keys = load_or_make_keys(folder)
        self.keeper = self.started()

    def started(self) -> DoorNoticeKeeper:
        """Return the keeper as it is after a start."""
        return keeper_of(self.folder, self.said, keys=self.keys, events=self.told, clock=self.clock)

    async def newest(self) -> DoorNotice:
        """Keep the notice; return what was told last."""
        await self.keeper.keep()
        body = self.told.bodies[-1]
        assert isinstance(body, DoorNoticeTold)
        return check_told_notice(body, self.keys.device)

    async def count(self) -> int:
        """Keep the notice; return how often one was told so far."""
        await self.keeper.keep()
        return len(self.told.bodies)

    def changes(self, **tables: Any) -> None:
        """Let other settings count."""
        self.said.in_force = msgspec.structs.replace(self.said.in_force, **tables)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def player(*what: What, until_ms: int = NOW_MS + HOUR_MS) -> EnrolledBrowser:
    """Return a player with this right."""
    right = Right(holder="player", what=list(what), from_ms=0, until_ms=until_ms)
    return EnrolledBrowser(
        keys=SoftBrowser.create().keys, credential_id="AQ", right=right, given_ms=0
    )


async def test_there_is_none_until_an_owner_wants_one(bench: Bench) -> None:
    assert await bench.count() == 0
    bench.said.notice_contact = "Ada"
    notice = await bench.newest()
    assert notice.contact == "Ada"
    assert notice.shape_permille == 562


async def test_it_says_what_counts_and_is_told_anew_when_that_changes(bench: Bench) -> None:
    bench.said.notice_contact = "Ada"
    first = await bench.newest()
    assert (first.is_sound_recorded, first.is_sound_live, first.recorders) == (False, False, 0)
    bench.changes(motion=MotionConfig(is_on=False))
    assert not (await bench.newest()).is_motion_recorded
    bench.changes(clips=ClipsConfig(keep_days=3, pre_roll_s=2.5))
    changed = await bench.newest()
    assert (changed.keep_days, changed.pre_roll_ms) == (3, 2500)
    bench.changes(sound=SoundConfig(is_in_clips=True, is_in_live_view=False))
    assert not (await bench.newest()).is_sound_recorded  # the microphone is off
    bench.said.is_on = True
    on = await bench.newest()
    assert (on.is_sound_recorded, on.is_sound_live) == (True, False)
    bench.said.mask = Mask((((0, 0), (0.25, 0), (0.2504, 0.6)),))
    assert (await bench.newest()).masks == [[[0, 0], [250, 0], [250, 600]]]
    bench.said.known = [player("live"), player("live", "record")]
    last = await bench.newest()
    assert last.recorders == 1
    assert last.key == first.key
    told = await bench.count()
    assert await bench.count() == told


async def test_a_players_right_that_ends_by_the_clock_is_told(bench: Bench) -> None:
    bench.said.notice_contact = "Ada"
    bench.said.known = [player("record")]
    assert (await bench.newest()).recorders == 1
    bench.clock.advance(2 * 3600)
    assert (await bench.newest()).recorders == 0


async def test_it_is_renewed_once_a_week_with_its_hour_and_no_minute(bench: Bench) -> None:
    bench.said.notice_contact = "Ada"
    first = await bench.newest()
    bench.clock.advance(RENEWED_AFTER_MS / 1000 - 1)
    assert await bench.count() == 1
    bench.clock.advance(1)
    renewed = await bench.newest()
    assert renewed.since_ms == first.since_ms
    assert renewed.told_ms - first.told_ms == RENEWED_AFTER_MS
    assert {renewed.told_ms % HOUR_MS, renewed.since_ms % HOUR_MS} == {0}


async def test_it_stays_the_same_after_a_restart(bench: Bench) -> None:
    bench.said.notice_contact = "Ada"
    first = await bench.newest()
    bench.keeper = bench.started()
    assert await bench.count() == 1
    bench.said.notice_contact = "Bo"
    assert (await bench.newest()).key == first.key


async def test_taken_down_it_is_withdrawn_and_the_next_has_another_id(bench: Bench) -> None:
    bench.said.notice_contact = "Ada"
    first = await bench.newest()
    bench.said.notice_contact = ""
    await bench.keeper.keep()
    assert bench.told.bodies[-1] == DoorNoticeEnded(notice_id=notice_id_of(first.key))
    assert await bench.count() == 2
    bench.said.notice_contact = "Ada"
    assert (await bench.newest()).key != first.key


async def test_without_the_time_nothing_is_put_up_but_what_stands_is_taken_down(
    bench: Bench,
) -> None:
    bench.said.notice_contact = "Ada"
    bench.clock.trusted = False
    assert await bench.count() == 0
    bench.clock.trusted = True
    await bench.newest()
    bench.clock.trusted = False
    bench.said.notice_contact = ""
    await bench.keeper.keep()
    assert isinstance(bench.told.bodies[-1], DoorNoticeEnded)
