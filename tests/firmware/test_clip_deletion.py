"""What owners delete is seen by nobody, can come back for a day, and is then erased for good."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.clips.retention import DAY_MS, Retention
from firmware.live.clip_source import LibraryClips
from firmware.protocol.decisions import (
    UNDO_MS,
    DeleteClips,
    Hold,
    KeepClips,
    RemoveOwner,
    Undelete,
    Unhold,
)
from firmware.protocol.deletions import Deletion
from firmware.protocol.encoding import decode
from firmware.protocol.notes import ClipsDecided, NoteBody, StatementRefused
from tests.fakes.consent_world import NOW_MS, new_owner_passkey
from tests.fakes.intake import DeskRig, desk_rig, digest_of
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


class Home:
    """Ada and Bo at a doorbell with one clip."""

    def __init__(self, rig: DeskRig) -> None:
        self.rig, self.bo = rig, new_owner_passkey()
        self.bos_phone = SoftBrowser.create("Bo's phone")
        self.desk = rig.desk()
        self.clip = rig.library.finished()[0].clip_id
        self.retention = Retention(
            rig.library,
            rig,
            boot_id="b" * 26,
            keep_days=30,
            keep_bytes=10**9,
            min_free_bytes=0,
        )

    async def begin(self) -> None:
        bo = self.rig.newcomer(passkey=self.bo.key, browser=self.bos_phone.keys)
        await self.decide(bo)

    async def decide(self, terms: object, by: SoftPasskey | None = None) -> str:
        """Let an owner decide it, at the door if it has to be; return the statement's digest."""
        signed = self.rig.sign(terms, by=by)
        await self.desk.on_statement(self.rig.seal(signed))
        for asked in self.desk.waiting():
            assert await self.desk.confirm(asked.statement.digest) is None
        return digest_of(signed)

    def told(self) -> NoteBody:
        """Return the last note, which both owners got."""
        ours, theirs = self.rig.notes()[-1], self.rig.notes_to(self.bos_phone)[-1]
        assert ours == theirs
        return ours

    @property
    def is_shown(self) -> bool:
        """Whether any of those who ask for clips get it: all of them, or none."""
        library = self.rig.library
        seen = {
            library.find(self.clip) is not None,
            any(clip.clip_id == self.clip for clip in library.finished()),
            any(clip.clip_id == self.clip for clip in library.newest(10)),
            self.clip in self.rig.gathering.facts().clips,
        }
        assert len(seen) == 1
        return seen.pop()

    @property
    def is_on_card(self) -> bool:
        return self.rig.library.path_of(self.clip).exists()


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with desk_rig(tmp_path) as rig:
        home = Home(rig)
        await home.begin()
        yield home


def records(home: Home) -> list[Deletion]:
    signed = home.rig.library.deletions()
    return [decode(Deletion, one.deletion.encode()) for one in signed]


async def test_a_deleted_clip_is_seen_by_nobody_and_comes_back(home):
    digest = await home.decide(DeleteClips(clips=[home.clip], is_now=False))
    assert not home.is_shown
    assert home.is_on_card
    assert home.told() == ClipsDecided(
        statement_digest=digest,
        what="deleted",
        by_name="Ada",
        clips=[home.clip],
        until_ms=NOW_MS + UNDO_MS,
    )
    digest = await home.decide(Undelete(clips=[home.clip]), by=home.bo)
    assert home.is_shown
    assert home.told() == ClipsDecided(
        statement_digest=digest, what="restored", by_name="Bo", clips=[home.clip]
    )
    home.rig.wind(minutes=25 * 60)
    home.retention.apply()
    assert home.is_shown


async def test_nothing_of_a_deleted_clip_is_played_or_fetched(home):
    shelf = LibraryClips(home.rig.library, home.rig.playback)
    assert await shelf.plain_mp4(home.clip) is not None
    await home.decide(DeleteClips(clips=[home.clip], is_now=False))
    assert await shelf.plain_mp4(home.clip) is None
    assert await shelf.read_gops(home.clip, 0) is None
    assert shelf.newest(10) == []


async def test_a_day_later_it_is_erased_with_the_signed_record(home):
    await home.decide(DeleteClips(clips=[home.clip], is_now=False))
    home.rig.now_ms += UNDO_MS - 1
    home.retention.apply()
    assert home.is_on_card
    home.rig.now_ms += 1
    assert home.retention.apply() == [home.clip]
    assert not home.is_on_card
    (record,) = records(home)
    assert (record.clip_id, record.why) == (home.clip, "owner")
    await home.decide(Undelete(clips=[home.clip]))
    assert home.rig.notes()[-1].reason == "clip_unknown"


async def test_by_a_wrong_clock_no_deletion_is_over(home):
    """Seen to fail with `is_settled` out of `Retention.apply`."""
    await home.decide(DeleteClips(clips=[home.clip], is_now=False))
    home.rig.now_ms += 100 * DAY_MS
    home.rig.is_time_known = False
    home.retention.apply()
    assert home.is_on_card


async def test_delete_now_erases_at_once_and_cant_be_undone(home):
    digest = await home.decide(DeleteClips(clips=[home.clip], is_now=True))
    assert not home.is_shown
    assert not home.is_on_card
    assert home.told() == ClipsDecided(
        statement_digest=digest, what="erased", by_name="Ada", clips=[home.clip]
    )
    assert len(home.rig.library.deletions()) == 1


async def test_what_was_deleted_can_be_erased_at_once(home):
    await home.decide(DeleteClips(clips=[home.clip], is_now=False))
    await home.decide(DeleteClips(clips=[home.clip], is_now=True), by=home.bo)
    assert not home.is_on_card
    assert home.told().what == "erased"


async def test_a_hold_that_comes_later_keeps_a_deleted_clip_from_erasure(home):
    """Seen to fail with `finished` for `in_order` in `Holds.apply`."""
    clip = home.rig.library.find(home.clip)
    await home.decide(DeleteClips(clips=[home.clip], is_now=False))
    hold = await home.decide(Hold(from_ms=clip.started_ms, to_ms=clip.ended_ms), by=home.bo)
    await home.decide(DeleteClips(clips=[home.clip], is_now=True))
    refused = home.rig.notes()[-1]
    assert isinstance(refused, StatementRefused)
    assert refused.reason == "clip_held"
    home.rig.now_ms += UNDO_MS
    home.retention.apply()
    assert home.is_on_card
    await home.decide(Unhold(hold_digest=hold), by=home.bo)
    assert home.retention.apply() == [home.clip]


async def test_a_clip_of_a_release_that_isnt_done_cant_be_deleted(home):
    """And once its package is sealed, that one goes its way, and the clip may go."""
    await home.desk.on_statement(home.rig.seal(home.rig.sign()))
    (asked,) = home.desk.waiting()
    terms = DeleteClips(clips=[home.clip], is_now=True)
    signed = home.rig.sign(terms)
    await home.desk.on_statement(home.rig.seal(signed))
    assert home.rig.notes()[-1].reason == "clip_held"
    assert await home.desk.confirm(asked.statement.digest) is None
    await home.rig.log_release(home.desk)
    packages = home.rig.kept()
    assert packages
    await home.decide(terms)
    assert not home.is_on_card
    assert home.rig.kept() == packages


async def test_another_owners_keep_wins_until_they_let_go(home):
    digest = await home.decide(KeepClips(clips=[home.clip], is_kept=True), by=home.bo)
    assert home.told() == ClipsDecided(
        statement_digest=digest, what="kept", by_name="Bo", clips=[home.clip]
    )
    await home.decide(DeleteClips(clips=[home.clip], is_now=True))
    refused = home.rig.notes()[-1]
    assert (refused.reason, "Bo" in refused.detail) == ("clip_kept", True)
    assert home.is_shown
    await home.decide(KeepClips(clips=[home.clip], is_kept=False), by=home.bo)
    await home.decide(DeleteClips(clips=[home.clip], is_now=True))
    assert not home.is_on_card


async def test_retention_never_removes_what_is_kept(home):
    """With the keeps out of `Library.removable` it never ends: what `remove` leaves comes again."""
    await home.decide(KeepClips(clips=[home.clip], is_kept=True))
    home.rig.now_ms += 100 * DAY_MS
    assert home.retention.apply() == []
    assert not home.retention.make_room()
    assert home.rig.library.removable_bytes() == 0
    await home.decide(KeepClips(clips=[home.clip], is_kept=False))
    assert home.retention.apply() == [home.clip]


async def test_a_deleted_clip_goes_in_its_turn_when_room_is_missing(home):
    await home.decide(DeleteClips(clips=[home.clip], is_now=False))
    assert home.retention.make_room()
    assert not home.is_on_card
    assert [record.why for record in records(home)] == ["owner"]


async def test_an_owner_who_goes_keeps_nothing_any_more(home):
    """Seen to fail with `end_keeps_of` out of `_remove_owner`."""
    await home.decide(KeepClips(clips=[home.clip], is_kept=True), by=home.bo)
    await home.decide(RemoveOwner(credential_id=home.bo.key.credential_id))
    assert home.rig.choices.kept_by() == {}
    await home.decide(DeleteClips(clips=[home.clip], is_now=True))
    assert not home.is_on_card


async def test_a_power_cut_between_mark_and_erasure_leaves_it_to_retention(home):
    home.rig.choices.delete([home.clip], until_ms=home.rig.now_ms)
    assert home.is_on_card
    assert home.retention.apply() == [home.clip]
    assert len(home.rig.library.deletions()) == 1
