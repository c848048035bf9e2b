"""What the own page shows of what waits: the register's words, the very footage, how far it is."""

import io
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from firmware.clips.record import manifest_of
from firmware.decisions.intake import StatementIntake
from firmware.local_page import views
from firmware.local_page.presenter import StatementPresenter
from firmware.local_page.release_tracker import ReleaseTracker
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.commands import PackageNotTaken
from firmware.protocol.custody import ReleaseProof
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    IdentityGiven,
    OwnerSettings,
    RecoveryKeys,
    RefuseAgency,
    RemoveOwner,
    SetRecovery,
)
from firmware.protocol.encoding import b64u, decode, sha256_hex, unb64u
from firmware.protocol.events import UploadedPart
from firmware.protocol.footage import TICKS_PER_MS, Gop
from firmware.protocol.grants import GrantTerms, Terms
from firmware.protocol.pairing import approver_words, browser_words, recovery_key_words
from firmware.protocol.releases import is_of_grant, package_id_of
from firmware.protocol.rights import OWNERS_WHAT, SELF_RENEWED_MS
from tests.fakes.ffmpeg_reader import has_sound, read_units
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.log_town import NOW_MS
from tests.fakes.media import opened_package
from tests.fakes.rights import own_browser
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

MASK = [[0, 0], [330, 0], [330, 1000]]
OTHER_MASK = [[500, 500], [600, 500], [600, 600]]


@dataclass
class Page:
    """A doorbell's desk, and what its own page sees of it."""

    rig: DeskRig
    desk: StatementIntake
    showing: StatementPresenter
    progress: ReleaseTracker

    async def asked(self, terms: Terms) -> views.Asked:
        """Let the owner sign, and return what the page asks."""
        self.rig.now_ms += 1  # the newest is the last
        await self.desk.on_statement(self.rig.seal(self.rig.sign(terms)))
        return self.showing.waiting()[-1].asked

    async def grant(self, terms: GrantTerms | None = None) -> views.GrantView:
        asked = await self.asked(terms or self.terms())
        assert isinstance(asked, views.GrantView)
        return asked

    def terms(self, **changes: object) -> GrantTerms:
        self.rig.sign()  # lets the world know the clip
        return self.rig.world.terms(**changes)

    def cut(self, first: int, after: int) -> GrantTerms:
        """Return a grant of whole groups of pictures, as an app rounds them: never too little."""
        terms = self.terms()
        (clip,) = terms.clips
        gops = self.gops()
        part = msgspec.structs.replace(
            clip,
            from_ms=clip.from_ms + gops[first].first_pts_90k // TICKS_PER_MS,
            to_ms=clip.from_ms - -gops[after].first_pts_90k // TICKS_PER_MS,
        )
        return msgspec.structs.replace(terms, clips=[part])

    def gops(self) -> list[Gop]:
        return manifest_of(self.rig.library.finished()[0].signed_manifest).gops

    @property
    def digest(self) -> str:
        return self.showing.waiting()[-1].digest

    def package(self, digest: str) -> dict[str, bytes]:
        """Return the sealed package, opened by the agency."""
        path = self.rig.folder / "outgoing" / f"{package_id_of(digest)}.bin"
        town = self.rig.world.town
        key = town.sealing_private_keys[0]
        return opened_package(path.read_bytes(), key, unb64u(town.agreement.sealing_keys[0]))


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with desk_rig(tmp_path) as rig:
        desk = rig.desk()
        showing = StatementPresenter(
            desk=desk,
            owners=rig.owners,
            household=rig.household,
            library=rig.library,
            playback=rig.playback,
            register=rig.record,
            picture_size=(720, 1280),
            file=rig,
        )
        progress = ReleaseTracker(
            statements=rig.store,
            household=rig.household,
            outgoing=rig.outgoing,
            register=rig.record,
        )
        yield Page(rig=rig, desk=desk, showing=showing, progress=progress)


async def test_a_grant_says_what_request_and_register_say(page: Page) -> None:
    identity = IdentityGiven(name="Ada L.", address="1 Elm Street")
    asked = await page.grant(page.terms(identity=identity))
    request, agreement = page.rig.world.request, page.rig.world.agreement
    assert (asked.agency, asked.is_example) == (agreement.name, False)
    assert (asked.officer_name, asked.cosigner_name) == (
        request.officer_name,
        request.cosigner_name,
    )
    assert (asked.contact, asked.case_number) == (request.contact, request.case_number)
    assert (asked.given_name, asked.given_address, asked.given_contact) == (
        "Ada L.",
        "1 Elm Street",
        "",
    )
    assert list(asked.key_fingerprints) == [
        sha256_hex(unb64u(key))[:16] for key in agreement.sealing_keys
    ]
    (clip,) = asked.clips
    assert (clip.is_whole, clip.has_sound, clip.problem) == (True, False, "")


async def test_a_whole_clip_plays_whole_and_a_part_only_its_part(page: Page) -> None:
    await page.grant()
    whole = page.showing.part(page.digest, 1)
    asked = await page.grant(page.cut(1, 2))
    part = page.showing.part(page.digest, 1)
    assert whole is not None
    assert part is not None
    (clip,) = asked.clips
    assert not clip.is_whole
    gops = page.gops()
    assert clip.duration_ms == pytest.approx(
        (gops[2].first_pts_90k - gops[1].first_pts_90k) / TICKS_PER_MS, abs=1
    )
    assert pictures(part) == pictures(whole)[gops[0].unit_count :][: gops[1].unit_count]


async def test_what_is_played_is_what_the_agency_opens(page: Page) -> None:
    await page.grant(page.cut(1, 2))
    digest = page.digest
    played = page.showing.part(digest, 1)
    assert played is not None
    assert await page.desk.confirm(digest) is None
    await page.rig.log_release(page.desk)
    sent = page.package(digest)
    assert pictures(sent["clip-1.mp4"]) == pictures(played)
    assert not has_sound(played)
    proof = decode(ReleaseProof, sent["release.json"])
    assert is_of_grant(
        proof.record, device=page.rig.keys.device, grant_digest=digest, salt_g=proof.salt_g
    )


async def test_nothing_is_played_that_waits_no_longer_or_was_never_asked_for(page: Page) -> None:
    await page.grant()
    digest = page.digest
    assert page.showing.part(digest, 2) is None
    assert page.showing.part("0" * 64, 1) is None
    page.desk.refuse(digest)
    assert page.showing.part(digest, 1) is None
    await page.asked(page.rig.newcomer())
    assert page.showing.part(page.digest, 1) is None


async def test_a_part_too_short_to_be_given_is_shown_with_why_and_played_by_nobody(
    page: Page,
) -> None:
    terms = page.terms()
    (clip,) = terms.clips
    short = msgspec.structs.replace(clip, from_ms=clip.from_ms + 1, to_ms=clip.from_ms + 3)
    asked = await page.grant(msgspec.structs.replace(terms, clips=[short]))
    assert "choose a longer part" in asked.clips[0].problem
    assert page.showing.part(page.digest, 1) is None


async def test_a_confirmed_release_is_followed_to_the_bucket_and_back(page: Page) -> None:
    await page.grant()
    digest = page.digest
    assert page.progress.of(digest) is None
    assert await page.desk.confirm(digest) is None
    (logging,) = page.progress.under_way()
    assert (logging.stage, logging.agency) == ("logging", page.rig.world.agreement.name)
    await page.rig.log_release(page.desk)
    assert page.progress.under_way() == []
    assert stage(page, digest) == "sending"
    page.rig.outgoing.discard(package_id_of(digest))  # it has arrived whole
    assert stage(page, digest) == "sent"
    page.rig.household.revoke(digest, page.rig.now_ms)
    assert stage(page, digest) == "taken_back"


async def test_what_the_relay_did_not_take_is_not_said_to_be_sent(page: Page) -> None:
    await page.grant()
    digest = page.digest
    assert await page.desk.confirm(digest) is None
    await page.rig.log_release(page.desk)
    told = PackageNotTaken(package_id=package_id_of(digest), reason="agreement")
    await page.desk.on_package_not_taken(told)
    assert stage(page, digest) == "not_taken"
    page.rig.household.revoke(digest, page.rig.now_ms)
    assert stage(page, digest) == "taken_back"


async def test_what_was_confirmed_and_failed_is_told_and_what_was_refused_is_no_release(
    page: Page,
) -> None:
    await page.grant()
    digest = page.digest
    assert await page.desk.confirm(digest) is None
    page.rig.store.move_statement(digest, from_state="confirmed", to="refused")
    assert stage(page, digest) == "failed"
    await page.grant()
    other = page.digest
    page.desk.refuse(other)
    assert page.progress.of(other) is None


@pytest.mark.parametrize(("parts_sent", "expected"), [(0, "damaged"), (1, "sent")])
async def test_of_a_package_that_the_card_spoilt_nobody_says_that_nothing_left(
    page: Page, parts_sent: int, expected: str
) -> None:
    """Seen to fail ("failed": nothing has left) with a damaged package counted as that."""
    await page.grant()
    digest = page.digest
    assert await page.desk.confirm(digest) is None
    await page.rig.log_release(page.desk)
    package_id, outgoing = package_id_of(digest), page.rig.outgoing
    part = UploadedPart(number=1, etag="e", sha256="0" * 64)  # it has one part only
    outgoing.remember(package_id, "u", dict([(1, part)][:parts_sent]))
    (page.rig.folder / "outgoing" / f"{package_id}.json").write_bytes(b"{spoilt")
    assert stage(page, digest) == expected
    assert outgoing.damaged() == {package_id}
    assert stage(page, digest) == expected
    Outgoing(page.rig.folder / "outgoing")  # a start
    assert stage(page, digest) == expected


async def test_each_other_kind_is_shown_with_what_decides(page: Page) -> None:
    newcomer = page.rig.newcomer()
    added = await page.asked(newcomer)
    assert isinstance(added, views.NewOwnerView)
    assert (added.name, len(added.words)) == ("Bo", 4)
    page.rig.owners.add(newcomer.owner.owner)

    gone = await page.asked(RemoveOwner(credential_id=newcomer.owner.passkey.credential_id))
    assert gone == views.OwnerRemovalView(name="Bo")

    browser = SoftBrowser.create("Laptop").keys
    let_in = await page.asked(own_browser(browser))
    words = browser_words(page.rig.keys.device, browser)
    assert let_in == views.RightView(
        name="Laptop",
        words=words,
        holder="owner",
        what=list(OWNERS_WHAT),
        until_ms=NOW_MS + SELF_RENEWED_MS,
    )

    agency = page.rig.world.agreement
    page.rig.household.refuse_agency(agency.agency, is_refused=True)
    again = await page.asked(RefuseAgency(agency=agency.agency, is_refused=False))
    assert again == views.AgencyView(name=agency.name)

    keys = RecoveryKeys(
        sealing_key=b64u(page.rig.keys.sealing_public_key),
        signing_key=page.rig.world.owner.key.public_key,
    )
    recovery = await page.asked(SetRecovery(keys=keys))
    assert recovery == views.RecoveryView(words=recovery_key_words(keys), is_first=True)

    key = SoftPasskey.create(rp_id="approve.test", origin="https://approve.test").key
    approver = await page.asked(AddApprover(name="Blue key", key=key))
    assert approver == views.ApproverView(name="Blue key", words=approver_words(key))


async def test_settings_show_which_masks_go_stay_and_come(page: Page) -> None:
    before = OwnerSettings(revision=1, is_opted_in=True, masks=[MASK, OTHER_MASK])
    page.rig.household.set_settings(before)
    new = [[1, 1], [2, 1], [2, 2]]
    after = OwnerSettings(revision=2, masks=[OTHER_MASK, new], has_reminder=True)
    asked = await page.asked(ChangeSettings(settings=after))
    assert isinstance(asked, views.SettingsView)
    assert (asked.removed, asked.kept, asked.added) == (
        [[(0, 0), (330, 0), (330, 1000)]],
        [[(500, 500), (600, 500), (600, 600)]],
        [[(1, 1), (2, 1), (2, 2)]],
    )
    assert asked.picture_size == (720, 1280)
    changes = {one.name: (one.before, one.after, one.is_wider) for one in asked.changes}
    assert changes == {"is_opted_in": (True, False, False), "has_reminder": (False, True, False)}


def test_a_key_that_differs_gives_other_words() -> None:
    keys = [
        SoftPasskey.create(rp_id="approve.test", origin="https://approve.test").key
        for _ in range(3)
    ]
    words = [approver_words(key) for key in keys]
    assert all(one != other for one, other in itertools.combinations(words, 2))


def stage(page: Page, digest: str) -> str:
    progress = page.progress.of(digest)
    assert progress is not None
    return progress.stage


def pictures(mp4: bytes) -> list[list[bytes]]:
    """Return the pictures of an MP4, without their times."""
    return [unit.nal_units for unit in read_units(io.BytesIO(mp4))]
