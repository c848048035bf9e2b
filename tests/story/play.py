"""The story itself: from the doorbell's enrolment to the officer's verified recording.

One function a step, in the order in which they happen. Played again on the same data, the
doorbell is enrolled and paired already: those steps then check that it still is.
"""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from firmware.protocol.encoding import decode, unb64u
from firmware.protocol.notes import ConfirmationWanted, ReleaseDone, RequestsMatched
from firmware.protocol.packages import read_header
from firmware.protocol.requests import EvidenceRequest, OfficerRole
from relay.errors import RelayError
from tests.story.api import SLOWER, Json, ask_until
from tests.story.clock import TownHand
from tests.story.door import Door
from tests.story.evidence import is_first_frame_a_key_frame, verify_package
from tests.story.history import make_history
from tests.story.officer import Agency, Officer
from tests.story.owner import API, Owner, triggers_of
from tests.story.register import pass_request
from tests.story.servers import Servers
from tests.story.settings import Settings, StoryError
from tests.story.steps import Steps
from tests.story.town import (
    AGENCY_CELLS,
    AGENCY_ID,
    AGENCY_NAME,
    AN_OFFICER,
    DOORBELL_CELL,
    invite,
    invite_all,
)
from tests.story.viewer import Viewing

DOOR_NUMBER = "271828"
"""The story's door number: the demo prints it, an owner would keep it to themselves."""
PRE_ROLL_MS = 6000
AGREED_WITHIN_S = 30.0
RELEASED_WITHIN_S = 20.0
"""So long a doorbell may take after a batch where the machine is busy."""
RELEASE_BATCHES = 5
RING_FILL_S = 7.5
"""Pre-roll, and one GOP more: so long a doorbell must run before it can give all of it."""
LIVE_FRAMES = 60
OWNER = "Mary"
QUICK_REPLY = "We can't come to the door just now. Please leave the parcel with our neighbour."


@dataclass(slots=True, kw_only=True)
class People:
    """Everybody who plays."""

    owner: Owner
    officer: Officer
    cosigner: Officer
    agency: Agency
    door: Door
    hand: TownHand

    async def close(self) -> None:
        """Close all their connections."""
        await self.owner.close()
        await self.officer.close()
        await self.cosigner.close()
        await self.door.close()
        await self.hand.close()


def meet_people(settings: Settings) -> People:
    """Return the people, with what they keep from earlier starts."""
    folder = settings.people_dir
    hand = TownHand(settings)

    def officer(file: str, name: str) -> Officer:
        keys = folder / file
        return Officer(settings.relay_url, keys, name, AGENCY_ID, now_ms=hand.now_ms)

    return People(
        owner=Owner(
            settings.relay_url, settings.app_url, folder / "owner.json", OWNER, now_ms=hand.now_ms
        ),
        officer=officer("officer.json", "Officer J. Alvarez"),
        cosigner=officer("cosigner.json", "Sergeant M. Ortiz"),
        agency=Agency(settings.agency_key),
        door=Door(settings.door_url, settings.doorbell_dir / "control.sock"),
        hand=hand,
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
        self._hand = people.hand
        self._servers = servers
        self._steps = steps
        self._recording_since_s = 0.0
        self._press_id = ""

    async def begin(self) -> None:
        """Let agency and officers in; start the doorbell, enrol it, pair it with its owner."""
        await self._agree()
        is_new = await self._certify()
        if self._hand.is_wound:
            await self._remember(is_new=is_new)
        await self._enrol()
        await self._pair()
        self._recording_since_s = time.monotonic()

    async def begin_empty(self) -> None:
        """Start the doorbell and enrol it: all else is for whoever looks around."""
        await self._enrol()

    async def tell(self) -> None:
        """Play every further step; the first that doesn't hold raises."""
        owner = self._owner
        async with owner.inbox.following(owner.api, f"{API}/stream", owner.missed):
            await asyncio.sleep(max(0.0, self._recording_since_s + RING_FILL_S - time.monotonic()))
            clip = await self._ring()
            await self._watch_live()
            request = await self._ask()
            digest = await self._grant(request, clip)
            await self._confirm(digest, request)
            package_id = await self._check(digest)
            await self._upload(package_id)
            await self._take_evidence(package_id)
            if self._hand.is_wound:
                await self._file_outcome(request)

    async def _agree(self) -> None:
        """See the agreement count; where that takes days, wind the clock."""
        with self._steps.step("agreed") as step:
            count = 0
            begun_s = time.monotonic()
            while "agreement_ends" not in (waiting := await self._hand.waiting()):
                if self._hand.is_wound and "agreement" in waiting:
                    await self._hand.wind("week")
                    count += 1
                if time.monotonic() - begun_s > AGREED_WITHIN_S * SLOWER:
                    raise StoryError(f"the agreement doesn't count: {waiting}")
                await asyncio.sleep(0.1)
            wound = "; the clock was wound by seven days" if count else ""
            step.detail = f"with {AGENCY_NAME}, public for as long as it must be{wound}"

    async def _certify(self) -> bool:
        """See that both officers' certificates count; where that takes days, wind the clock.

        Tell whether they are new.
        """
        with self._steps.step("certified") as step:
            officers: dict[Officer, OfficerRole] = {
                self._officer: "officer",
                self._cosigner: "approver",
            }
            newcomers = [one for one in officers if one.certificate is None]
            if newcomers:
                await self._take_up_duty([(one, officers[one]) for one in newcomers])
            days = await self._wind_until_they_count(len(newcomers))
            for officer in officers:
                await officer.log_in()
                await officer.wait_until_certified()
            wound = f"; the clock was wound by {days} days" if days else ""
            step.detail = f"{self._officer.name} and {self._cosigner.name}{wound}"
        return bool(newcomers)

    async def _remember(self, *, is_new: bool) -> None:
        with self._steps.step("history") as step:
            step.detail = "since an earlier start"
            if is_new:
                agency = (AGENCY_NAME, AGENCY_CELLS)
                people = (self._hand, self._officer, self._cosigner)
                try:
                    step.detail = await make_history(
                        self._settings, *people, agency=agency, note=self._steps.note
                    )
                except (DBAPIError, RelayError) as error:  # of the relay's services
                    why = str(error).partition("\n")[0]
                    raise StoryError(f"the town's history couldn't be made: {why}") from error

    async def _wind_until_they_count(self, count: int) -> int:
        """Wait until witnesses have seen so many certificates; return by how many days it was."""
        if not self._hand.is_wound or count == 0:
            return 0
        await ask_until(
            "witnesses have seen the certificates",
            self._hand.waiting,
            lambda waiting: waiting.count("officer") >= count,
            timeout_s=AGREED_WITHIN_S,
        )
        days = 0
        while "officer" in await self._hand.waiting():
            await self._hand.wind("day")
            days += 1
        return days

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
            step.detail = f"the doorbell says: {' '.join(words)}"

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
            reply = QUICK_REPLY if self._settings.has_sound else None
            seen = await self._owner.watch_live(frame_count=LIVE_FRAMES, reply=reply)
            step.detail = (
                f"connected in {seen.connected_ms} ms, first picture at {seen.first_frame_ms} ms, "
                f"{seen.frame_count} frames of {seen.width}x{seen.height} decoded"
                f"{_of_reply(seen)}"
            )

    async def _ask(self) -> Json:
        officer, cosigner = self._officer, self._cosigner
        with self._steps.step("requested") as step:
            case_number = f"LPD-{time.time_ns() // 1_000_000 % 10**9}"
            request = await officer.draft_request(
                cosigner, cells=[DOORBELL_CELL], case_number=case_number
            )
            await cosigner.cosign_request(request.id)
            step.detail = f"case {case_number}, signed by {officer.name} and {cosigner.name}"
        with self._steps.step("published") as step:
            await pass_request(self._settings, request.id)
            await self._hand.to_next_batch()
            await self._owner.wait_for_note(RequestsMatched, request.id, timeout_s=30.0)
            step.detail = f"in the public register; the doorbell read it there and told {OWNER}"
        listed = (await self._owner.api.get(f"{API}/requests"))["requests"]
        return next(one for one in listed if request.id in one["signed"]["request"])

    async def _take_up_duty(self, newcomers: list[tuple[Officer, OfficerRole]]) -> None:
        invitations = await invite_all(self._settings, *(AN_OFFICER for _ in newcomers))
        for (officer, _), told in zip(newcomers, invitations, strict=True):
            await officer.register(told["invitation"])
        files = [(officer.file, role) for officer, role in newcomers]
        signed = await self._agency.certify_all(files, self._settings.people_dir)
        for (officer, _), certificate in zip(newcomers, signed, strict=True):
            await officer.take_certificate(certificate)

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
            done = await self._wait_for_release(digest)
            step.detail = (
                f"in the public log, checked all again by the doorbell, sealed for {AGENCY_NAME}"
            )
        return done.package_id

    async def _wait_for_release(self, digest: str) -> ReleaseDone:
        """Go to the end of the batch, when releases are logged; and to the next if it was late.

        The doorbell waits for a batch more while the log hasn't proven a clip yet.
        """
        if self._hand.is_wound:
            for _ in range(RELEASE_BATCHES):
                await asyncio.sleep(1.0)  # the doorbell commits to it first
                await self._hand.to_next_batch()
                with suppress(StoryError):
                    return await self._owner.wait_for_note(
                        ReleaseDone, digest, timeout_s=RELEASED_WITHIN_S, slower=1.0
                    )
        return await self._owner.wait_for_note(ReleaseDone, digest, timeout_s=RELEASED_WITHIN_S)

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
            await self._hand.to_next_batch()
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
            fleet_ca = self._settings.relay_dir / "ca.pem"
            await self._agency.open(
                package, folder, policy=self._settings.policy, fleet_ca=fleet_ca
            )
            files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
            step.detail = ", ".join(files)
        with self._steps.step("verified") as step:
            step.detail = await self._verify(package_id, files)

    async def _file_outcome(self, request: Json) -> None:
        """Let the request end, and the agency say in public what became of it."""
        asked = decode(EvidenceRequest, request["signed"]["request"].encode())
        with self._steps.step("outcome") as step:
            await self._hand.wind("day")
            await self._officer.log_in()
            await self._officer.file_outcome(asked, "used", private_text="It showed who came by.")
            step.detail = "used, signed and logged; the clock was wound by one day"
        with self._steps.step("figures") as step:
            before = await self._hand.figures()
            await self._hand.to_next_batch()
            now = await ask_until(
                "the public record counts the outcome",
                self._hand.figures,
                lambda told: told["outcomes.used"] > 0 and told["downloads"] > 0,
                timeout_s=15.0,
            )
            names = ("requests", "refusals", "downloads", "outcomes.used")
            step.detail = ", ".join(f"{name} {now.get(name, before.get(name))}" for name in names)

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


def _of_reply(seen: Viewing) -> str:
    if seen.reply_trouble:
        return f"; no quick reply: {seen.reply_trouble}"
    return f"; the quick reply: {seen.replies[0]}" if seen.replies else ""
