"""The story itself: from the doorbell's enrolment to the officer's verified recording.

One function a step, in the order in which they happen. Played again on the same data, the
doorbell is enrolled and paired already: those steps then check that it still is.
"""

import asyncio
import json
import time
from dataclasses import dataclass

from firmware.protocol.encoding import unb64u
from firmware.protocol.notes import ConfirmationWanted, ReleaseDone, RequestsMatched
from firmware.protocol.packages import read_header
from firmware.protocol.requests import OfficerRole
from tests.story.api import Json, ask_until
from tests.story.door import Door
from tests.story.evidence import is_first_frame_a_key_frame, verify_package
from tests.story.officer import Agency, Officer
from tests.story.owner import API, Owner, triggers_of
from tests.story.register import pass_request
from tests.story.servers import Servers
from tests.story.settings import Settings, StoryError
from tests.story.steps import Steps
from tests.story.town import AGENCY_ID, AGENCY_NAME, DOORBELL_CELL, invite, invite_officer

DOOR_NUMBER = "271828"
"""The story's door number: the demo prints it, an owner would keep it to themselves."""
PRE_ROLL_MS = 6000
RING_FILL_S = 7.5
"""Pre-roll, and one GOP more: so long a doorbell must run before it can give all of it."""
LIVE_FRAMES = 60
OWNER = "Mary"


@dataclass(slots=True, kw_only=True)
class People:
    """Everybody who plays."""

    owner: Owner
    officer: Officer
    cosigner: Officer
    agency: Agency
    door: Door

    async def close(self) -> None:
        """Close all their connections."""
        await self.owner.close()
        await self.officer.close()
        await self.cosigner.close()
        await self.door.close()


def meet_people(settings: Settings) -> People:
    """Return the people, with what they keep from earlier starts."""
    folder = settings.people_dir
    return People(
        owner=Owner(settings.relay_url, settings.app_url, folder / "owner.json", OWNER),
        officer=Officer(
            settings.relay_url, folder / "officer.json", "Officer J. Alvarez", AGENCY_ID
        ),
        cosigner=Officer(
            settings.relay_url, folder / "cosigner.json", "Sergeant M. Ortiz", AGENCY_ID
        ),
        agency=Agency(settings.agency_key),
        door=Door(settings.door_url, settings.doorbell_dir / "control.sock"),
    )


class Play:
    """Plays the story once."""

    def __init__(self, settings: Settings, people: People, servers: Servers, steps: Steps) -> None:
        self._settings = settings
        self._owner = people.owner
        self._officer = people.officer
        self._cosigner = people.cosigner
        self._agency = people.agency
        self._door = people.door
        self._servers = servers
        self._steps = steps
        self._running_since_s = 0.0
        self._press_id = ""

    async def begin(self) -> None:
        """Start the doorbell, enrol it and pair it with its owner."""
        await self._enrol()
        self._running_since_s = time.monotonic()
        await self._pair()

    async def tell(self) -> None:
        """Play every further step; the first that doesn't hold raises."""
        async with self._owner.inbox.following(self._owner.api, f"{API}/stream"):
            await asyncio.sleep(max(0.0, self._running_since_s + RING_FILL_S - time.monotonic()))
            clip = await self._ring()
            await self._watch_live()
            request = await self._ask()
            digest = await self._grant(request, clip)
            await self._confirm(digest, request)
            package_id = await self._check(digest)
            await self._upload(package_id)
            await self._take_evidence(package_id)

    async def _enrol(self) -> None:
        with self._steps.step("enrolled") as step:
            is_first = not (self._settings.doorbell_dir / "enrolment.json").exists()
            await self._servers.start("doorbell")
            status = await self._door.wait_until_online()
            how = "made its key and has a certificate" if is_first else "is online again"
            step.detail = f"doorbell {status['device']} {how}"

    async def _pair(self) -> None:
        with self._steps.step("paired") as step:
            owner = self._owner
            if owner.doorbell is not None:
                await owner.log_in()
                step.detail = f"with {owner.name} since an earlier start"
                return
            invitation = await invite(self._settings, "owner")
            await owner.register(invitation["invitation"])
            words = await owner.pair(self._door, DOOR_NUMBER)
            step.detail = f"both sides say: {' '.join(words)}"

    async def _ring(self) -> Json:
        owner = self._owner
        last_seq = await owner.last_seq()
        with self._steps.step("pressed") as step:
            begun_s = time.monotonic()
            await self._door.ring()
            step.detail = "a finger on the bell for 0.15 s"
        with self._steps.step("event") as step:
            message = await owner.wait_for_event("pressed", after_seq=last_seq, timeout_s=10.0)
            pressed = message.data["event"]
            took_ms = (message.at_s - begun_s) * 1000
            step.detail = f"in {owner.name}'s app {took_ms:.0f} ms after the press"
        with self._steps.step("clip") as step:
            clip = await owner.wait_for_clip(pressed["id"], timeout_s=80.0)
            self._press_id = pressed["id"]
            before_ms = pressed["time_ms"] - clip["started_ms"]
            if before_ms < PRE_ROLL_MS:
                raise StoryError(f"only {before_ms} ms of video before the press")
            with_motion = "; motion around it is in it" if len(triggers_of(clip)) > 1 else ""
            step.detail = (
                f"{clip['duration_ms'] / 1000:.1f} s, of which "
                f"{before_ms / 1000:.1f} s before the press{with_motion}"
            )
        return clip

    async def _watch_live(self) -> None:
        with self._steps.step("live") as step:
            seen = await self._owner.watch_live(frame_count=LIVE_FRAMES)
            step.detail = (
                f"connected in {seen.connected_ms} ms, first picture at {seen.first_frame_ms} ms, "
                f"{seen.frame_count} frames of {seen.width}x{seen.height} decoded"
            )

    async def _ask(self) -> Json:
        officer, cosigner = self._officer, self._cosigner
        await self._take_up_duty(officer, role="officer")
        await self._take_up_duty(cosigner, role="approver")
        with self._steps.step("requested") as step:
            case_number = f"LPD-{time.time_ns() // 1_000_000 % 10**9}"
            request = await officer.draft_request(
                cosigner, cells=[DOORBELL_CELL], case_number=case_number
            )
            await cosigner.cosign_request(request.id)
            step.detail = f"case {case_number}, signed by {officer.name} and {cosigner.name}"
        with self._steps.step("published") as step:
            await pass_request(self._settings, request.id)
            await self._owner.wait_for_note(RequestsMatched, request.id, timeout_s=30.0)
            step.detail = f"in the public register; the doorbell read it there and told {OWNER}"
        return await self._owner.api.get(f"{API}/requests/{request.id}")

    async def _take_up_duty(self, officer: Officer, *, role: OfficerRole) -> None:
        if officer.certificate is not None:
            await officer.log_in()
            return
        invitation = await invite_officer(self._settings)
        await officer.register(invitation["invitation"])
        await officer.get_certified(self._agency, self._settings.people_dir, role=role)

    async def _grant(self, request: Json, clip: Json) -> str:
        with self._steps.step("granted") as step:
            digest = await self._owner.sign_grant(request, [clip])
            await self._owner.wait_for_note(ConfirmationWanted, digest, timeout_s=15.0)
            step.detail = f"signed by {self._owner.name}'s passkey, sealed to the doorbell"
        return digest

    async def _confirm(self, digest: str, request: Json) -> None:
        with self._steps.step("confirmed") as step:
            await self._door.unlock(DOOR_NUMBER)
            shown = await self._door.wait_for_statement(digest)
            case_number = json.loads(request["signed"]["request"])["case_number"]
            if (shown["agency"], shown["case_number"]) != (AGENCY_NAME, case_number):
                raise StoryError(f"the door page names {shown['agency']}, {shown['case_number']}")
            played = await self._door.clip(digest)
            if not await asyncio.to_thread(is_first_frame_a_key_frame, played):
                raise StoryError("the door page's clip doesn't begin with a key frame")
            await self._door.confirm(digest)
            step.detail = "at the doorbell's own page, which played this very clip"

    async def _check(self, digest: str) -> str:
        with self._steps.step("checked") as step:
            done = await self._owner.wait_for_note(ReleaseDone, digest, timeout_s=20.0)
            step.detail = (
                f"in the public log, checked all again by the doorbell, sealed for {AGENCY_NAME}"
            )
        return done.package_id

    async def _upload(self, package_id: str) -> None:
        with self._steps.step("uploaded") as step:
            await ask_until(
                "the package is delivered",
                self._owner.packages,
                lambda states: states.get(package_id) == "delivered",
                timeout_s=30.0,
            )
            step.detail = "by presigned URLs, each part with its SHA-256"

    async def _take_evidence(self, package_id: str) -> None:
        folder = self._settings.data_dir / "agency" / "evidence" / package_id
        package = folder.with_suffix(".dwpkg")
        folder.parent.mkdir(exist_ok=True)
        with self._steps.step("downloaded") as step:
            await ask_until(
                "the agency's pages list it with their next batch",
                lambda: self._officer.evidence_lists(package_id),
                lambda is_listed: is_listed,
                timeout_s=30.0,
            )
            sealed = await self._officer.download(package_id)
            package.write_bytes(sealed)
            header, _ = read_header(sealed)
            step.detail = f"{len(sealed):,} bytes, sealed for {header.agency}"
        with self._steps.step("opened") as step:
            await self._agency.open(package, folder)
            files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
            step.detail = ", ".join(files)
        with self._steps.step("verified") as step:
            step.detail = await self._verify(package_id, files)

    async def _verify(self, package_id: str, files: dict[str, bytes]) -> str:
        doorbell = self._owner.doorbell
        if doorbell is None:
            raise StoryError("the owner is paired with no doorbell")
        proven = await asyncio.to_thread(verify_package, files, unb64u(doorbell.identity_key))
        if any(clip.seconds_before(self._press_id) * 1000 < PRE_ROLL_MS for clip in proven):
            raise StoryError("the manifest says less video before the press than was told")
        page = await self._officer.evidence_page(package_id)
        if doorbell.device in page:
            raise StoryError("the officer's page names the doorbell before the package is opened")
        gop_count = sum(clip.gop_count for clip in proven)
        return f"{gop_count} GOP digests equal the doorbell's, and its signature holds"
