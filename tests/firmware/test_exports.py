"""An owner's export: who gets it, for how long, what is in it, and that every owner is told."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.live.errors import LiveError
from firmware.protocol.decisions import (
    DeleteClips,
    EndBrowser,
    EndExport,
    ExportAll,
    Hold,
    KeepClips,
    RemoveOwner,
)
from firmware.protocol.encoding import WireError, decode, sha256_hex
from firmware.protocol.exports import (
    EXPORT_LIFE_MS,
    ExportIndex,
    SignedExportIndex,
    check_index,
)
from firmware.protocol.notes import ExportNow, NoteBody, StatementRefused
from tests.fakes.asked_house import export_service
from tests.fakes.consent_world import NOW_MS, new_owner_passkey
from tests.fakes.intake import DeskRig, desk_rig, digest_of
from tests.fakes.rights import guest, player
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


class Home:
    """Ada and Bo at a doorbell with one clip; Ada exports from her phone."""

    def __init__(self, rig: DeskRig) -> None:
        self.rig, self.bo = rig, new_owner_passkey()
        self.bos_phone = SoftBrowser.create("Bo's phone")
        self.desk = rig.desk()
        self.phone = rig.browser.keys.id

    async def decide(self, terms: object, by: SoftPasskey | None = None) -> str:
        signed = self.rig.sign(terms, by=by)  # type: ignore[arg-type]
        await self.desk.on_statement(self.rig.seal(signed))
        for asked in self.desk.waiting():
            assert await self.desk.confirm(asked.statement.digest) is None
        return digest_of(signed)

    async def export(self) -> str:
        return await self.decide(ExportAll(browser=self.phone))

    async def index(self) -> ExportIndex:
        data = await export_service(self.rig).index(self.phone)
        signed = decode(SignedExportIndex, data, max_bytes=len(data))
        return check_index(signed, self.rig.keys.signer.spki)

    def told(self) -> NoteBody:
        """Return the last note, which both owners got."""
        ours, theirs = self.rig.notes()[-1], self.rig.notes_to(self.bos_phone)[-1]
        assert ours == theirs
        return ours


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with desk_rig(tmp_path) as rig:
        home = Home(rig)
        await home.decide(rig.newcomer(passkey=home.bo.key, browser=home.bos_phone.keys))
        yield home


async def test_an_owner_gets_everything_and_all_owners_are_told_at_both_ends(home):
    digest = await home.export()
    began = home.told()
    assert began == ExportNow(
        statement_digest=digest,
        export_digest=digest,
        state="began",
        by_name="Ada",
        browser_name=home.rig.browser.keys.name,
        until_ms=NOW_MS + EXPORT_LIFE_MS,
    )
    assert (await home.index()).export_digest == digest
    await export_service(home.rig).finish(home.phone, is_complete=True)
    ended = home.told()
    assert isinstance(ended, ExportNow)
    assert (ended.state, ended.statement_digest) == ("complete", digest)
    with pytest.raises(LiveError, match="no_export"):
        await home.index()


async def test_the_index_has_recordings_settings_rights_and_what_was_decided(home):
    clip = home.rig.library.finished()[0]
    await home.decide(Hold(from_ms=clip.started_ms, to_ms=clip.ended_ms))
    await home.decide(KeepClips(clips=[clip.clip_id], is_kept=True))
    gus = SoftBrowser.create("Gus")
    paired = home.rig.paired(gus.keys).answer.commitment
    await home.decide(guest(gus.keys, "live", commitment=paired))
    digest = await home.export()
    index = await home.index()
    (told,) = index.clips
    assert (told.clip_id, told.manifest_digest) == (clip.clip_id, clip.manifest_digest)
    assert (told.is_held, told.kept_by) == (True, ["Ada"])
    assert [one.name for one in index.owners] == ["Ada", "Bo"]
    assert [one.name for one in index.rights if one.holder == "guest"] == ["Gus"]
    assert len(index.holds) == 1
    kinds = [one.kind for one in index.statements]
    assert sorted(kinds) == ["add_owner", "export", "give_right", "hold", "keep_clips"]
    for one in index.statements:
        assert sha256_hex(one.signed.statement.encode()) == one.statement_digest
    assert digest in {one.statement_digest for one in index.statements}


async def test_a_changed_index_isnt_the_doorbells(home):
    await home.export()
    data = await export_service(home.rig).index(home.phone)
    signed = decode(SignedExportIndex, data, max_bytes=len(data))
    forged = msgspec.structs.replace(signed, index=signed.index.replace("Bo", "Bö"))
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check_index(forged, home.rig.keys.signer.spki)


async def test_a_deleted_recording_isnt_exported(home):
    await home.decide(DeleteClips(clips=[home.rig.library.finished()[0].clip_id], is_now=False))
    await home.export()
    assert (await home.index()).clips == []


async def test_an_export_ends_after_a_day_by_the_doorbells_clock(home):
    await home.export()
    home.rig.wind(minutes=24 * 60 - 1)
    await home.rig.exports.end_what_is_over()
    assert await home.index()
    home.rig.wind(minutes=1)
    with pytest.raises(LiveError, match="no_export"):
        await home.index()
    await home.rig.exports.end_what_is_over()
    ended = home.told()
    assert isinstance(ended, ExportNow)
    assert ended.state == "over"
    told = len(home.rig.told)
    await home.rig.exports.end_what_is_over()
    assert len(home.rig.told) == told, "and that is told once"


async def test_an_export_waits_while_the_doorbell_doesnt_know_the_time(home):
    await home.export()
    home.rig.is_time_known = False
    with pytest.raises(LiveError, match="no_export"):
        await home.index()
    await home.rig.exports.end_what_is_over()
    home.rig.is_time_known = True
    assert await home.index()


async def test_an_export_outlives_a_restart(home):
    digest = await home.export()
    home.desk = home.rig.desk()
    assert (await home.index()).export_digest == digest


async def test_a_damaged_file_of_exports_is_no_right(home):
    await home.export()
    (home.rig.folder / "exports.json").write_text('{"exports":[{}],"v":1}')
    home.desk = home.rig.desk()
    with pytest.raises(LiveError, match="no_export"):
        await home.index()


async def test_another_owner_stops_an_export(home):
    digest = await home.export()
    stopping = await home.decide(EndExport(export_digest=digest), by=home.bo)
    ended = home.told()
    assert isinstance(ended, ExportNow)
    assert (ended.state, ended.by_name) == ("stopped", "Bo")
    assert (ended.statement_digest, ended.export_digest) == (stopping, digest)
    with pytest.raises(LiveError, match="no_export"):
        await home.index()


@pytest.mark.parametrize("how", ["browser", "owner"])
async def test_an_export_ends_with_its_browser_and_with_its_owner(home, how):
    terms = ExportAll(browser=home.bos_phone.keys.id)
    await home.decide(terms, by=home.bo)
    end = (
        EndBrowser(browser=home.bos_phone.keys.id)
        if how == "browser"
        else RemoveOwner(credential_id=home.bo.key.credential_id)
    )
    await home.decide(end, by=home.bo)
    with pytest.raises(LiveError, match="no_export"):
        await export_service(home.rig).index(home.bos_phone.keys.id)
    await home.rig.exports.end_what_is_over()
    ended = home.rig.notes()[-1]
    assert isinstance(ended, ExportNow)
    assert ended.state == "over"


async def test_begin_and_end_are_told_in_one_size(home):
    """A relay that counts bytes learns no more than of any other decision."""
    sizes = set()
    digest = await home.export()
    sizes.add(len(home.rig.told[-1].sealed))
    await home.decide(EndExport(export_digest=digest))
    sizes.add(len(home.rig.told[-1].sealed))
    await home.decide(KeepClips(clips=[home.rig.library.finished()[0].clip_id], is_kept=True))
    sizes.add(len(home.rig.told[-1].sealed))
    assert len(sizes) == 1


@pytest.mark.parametrize("whose", ["another owner's", "nobody's", "a player's"])
async def test_everything_is_given_to_an_own_browser_alone(home, whose):
    stranger = SoftBrowser.create("TV")
    if whose == "a player's":
        await home.decide(player(stranger.keys, "history"))
    browser = home.bos_phone.keys.id if whose == "another owner's" else stranger.keys.id
    await home.decide(ExportAll(browser=browser))
    refused = home.rig.notes()[-1]
    assert isinstance(refused, StatementRefused)
    assert refused.reason == "browser"
    assert home.rig.exports.all == ()
