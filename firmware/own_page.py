"""What the doorbell's own page sees of the doorbell: `door.ports.DoorPorts`.

Translation only: the page in door/ knows nothing of statements, pairing or the library.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware.admitting import Admitting
from firmware.clips.library import Library
from firmware.clock import Clock
from firmware.config import SoundConfig
from firmware.consent.facts import BrowserEnrolment, Grant
from firmware.door.ports import (
    DoorNumberAnswer,
    DoorStatus,
    Locked,
    MicrophoneView,
    Outcome,
    PairingView,
    Unlocked,
    WaitingClip,
    WaitingStatement,
    WrongNumber,
)
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import Pairing
from firmware.errors import DoorNumberInvalid, DoorNumberLocked, DoorNumberWrong
from firmware.protocol.encoding import sha256_hex, unb64u
from firmware.protocol.events import Health, TroubleCode
from firmware.request_desk import RequestDesk
from firmware.shelf import Shelf
from firmware.sound.errors import NoSoundCard
from firmware.sound.microphone import Microphone
from firmware.statements import Asked, StatementDesk
from firmware.telling import Tell

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HowItIs:
    """Where the page looks for how the doorbell is."""

    is_online: Callable[[], bool]
    health: Callable[[], Health | None] = lambda: None
    troubles: Callable[[], Sequence[TroubleCode]] = lambda: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """The microphone that is switched at the page, and who hears it."""

    microphone: Microphone
    settings: SoundConfig

    def view(self) -> MicrophoneView:
        """Return how it is."""
        return MicrophoneView(
            state=self.microphone.state,
            has_card=self.microphone.has_card,
            is_on=self.microphone.is_on,
            trouble=self.microphone.trouble,
            is_in_live_view=self.settings.is_in_live_view,
            is_in_clips=self.settings.is_in_clips,
        )

    async def switch(self, *, is_on: bool) -> Outcome:
        """Switch it. Off counts at once; what the card doesn't take is said."""
        try:
            await self.microphone.switch(is_on)
        except NoSoundCard as error:
            return Outcome(is_done=False, detail=str(error))
        except OSError as error:
            log.error("the microphone's switch can't be kept: %s", error)
            kept = "it stays off" if is_on else "it is off now, but perhaps not after a restart"
            return Outcome(is_done=False, detail=f"The memory card doesn't take it; {kept}.")
        return Outcome(is_done=True)


class OwnPage:
    """Implements `door.ports.DoorPorts`."""

    def __init__(
        self,
        *,
        device: str,
        desk: StatementDesk,
        requests: RequestDesk,
        pairing: Pairing,
        owners: OwnerStore,
        admitting: Admitting,
        door_number: DoorNumber,
        library: Library,
        shelf: Shelf,
        clock: Clock,
        tell: Tell,
        door_url: str,
        how_it_is: HowItIs,
        ear: Ear,
    ) -> None:
        self._device = device
        self._desk = desk
        self._requests = requests
        self._pairing = pairing
        self._owners = owners
        self._admitting = admitting
        self._door_number = door_number
        self._library = library
        self._shelf = shelf
        self._clock = clock
        self._tell = tell
        self._door_url = door_url
        self._how_it_is = how_it_is
        self._ear = ear
        self._one_pairing_at_a_time = asyncio.Lock()

    def status(self) -> DoorStatus:
        """Return how the doorbell is."""
        health = self._how_it_is.health()
        return DoorStatus(
            device=self._device,
            is_paired=bool(self._owners.owners),
            is_online=self._how_it_is.is_online(),
            is_clock_trusted=self._clock.is_trusted(),
            clip_count=self._library.count(),
            addresses=(self._door_url,),
            camera=health.camera if health else None,
            card_free_bytes=health.card_free_bytes if health else None,
            card_total_bytes=health.card_total_bytes if health else None,
            troubles=tuple(self._how_it_is.troubles()),
            microphone=self._ear.microphone.state,
        )

    def pairing_view(self) -> PairingView:
        """Return where pairing stands."""
        view = self._pairing.view(self._monotonic_ms())
        return PairingView(state=view.state, words=view.words, owner_name=view.owner_name)

    async def complete_pairing(self, door_number: str) -> Outcome:
        """Store the door number, then the owner, then tell; a crash between leaves it unpaired.

        One after the other: of two who send a number, the one who pairs has set it.
        """
        async with self._one_pairing_at_a_time:
            return await self._complete_pairing(door_number)

    async def _complete_pairing(self, door_number: str) -> Outcome:
        if self._pairing.view(self._monotonic_ms()).state != "words":
            return Outcome(is_done=False, detail="Nobody is pairing. Hold the service button.")
        try:
            await asyncio.to_thread(self._door_number.choose, door_number)
        except DoorNumberInvalid as error:
            return Outcome(is_done=False, detail=str(error))
        confirmed = self._pairing.confirm(self._monotonic_ms())
        if confirmed is None:
            return Outcome(is_done=False, detail="The ten minutes are over. Begin again.")
        refusal = await self._admitting.add_owner(confirmed.owner)
        if refusal is not None:
            self._pairing.undo()
            return Outcome(is_done=False, detail=refusal.detail)
        await self._tell(confirmed.event)
        await self._admitting.tell_browsers(confirmed.event.credential_id)
        await self._requests.tell_standing(confirmed.owner.owner)
        return Outcome(is_done=True)

    def waiting(self) -> Sequence[WaitingStatement]:
        """Return the statements that wait and have not expired."""
        return [self._shown(asked) for asked in self._desk.waiting()]

    async def check_door_number(self, number: str) -> DoorNumberAnswer:
        """Check six digits; tries are counted durably."""
        try:
            await asyncio.to_thread(self._door_number.check, number)
        except DoorNumberLocked as error:
            return Locked(wait_s=error.wait_s)
        except DoorNumberWrong as error:
            return WrongNumber(tries_left=error.tries_left)
        except DoorNumberInvalid:
            return WrongNumber(tries_left=self._door_number.tries_left)
        return Unlocked()

    async def confirm(self, digest: str) -> Outcome:
        """The owner says yes to exactly this statement."""
        refusal = await self._desk.confirm(digest)
        if refusal is None:
            return Outcome(is_done=True)
        return Outcome(is_done=False, detail=refusal.detail)

    async def refuse(self, digest: str) -> Outcome:
        """The owner says no to it."""
        if await asyncio.to_thread(self._desk.refuse, digest):
            return Outcome(is_done=True)
        return Outcome(is_done=False, detail="It doesn't wait any more.")

    def microphone(self) -> MicrophoneView:
        """Return how the microphone is."""
        return self._ear.view()

    async def switch_microphone(self, *, is_on: bool) -> Outcome:
        """Switch it; the page has seen the door number."""
        return await self._ear.switch(is_on=is_on)

    async def plain_mp4(self, clip_id: str) -> bytes | None:
        """Return a clip as plain MP4."""
        clip = await self._shelf.plain_mp4(clip_id)
        return None if clip is None else clip.mp4

    def _monotonic_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000

    def _shown(self, asked: Asked) -> WaitingStatement:
        checked, expires_ms = asked.checked, asked.statement.expires_ms
        if isinstance(checked, Grant):
            return self._grant_shown(checked, expires_ms)
        if isinstance(checked, BrowserEnrolment):
            return WaitingStatement(
                digest=checked.digest,
                kind="session",
                owner_name=self._owner_name(checked.credential_id),
                browser_name=checked.terms.browser.name,
                expires_ms=expires_ms,
                words=self._desk.words_of(checked),
            )
        return WaitingStatement(
            digest=checked.digest,
            kind="add_owner",
            owner_name=checked.terms.owner.name,
            expires_ms=expires_ms,
            words=self._desk.words_of(checked),
        )

    def _grant_shown(self, grant: Grant, expires_ms: int) -> WaitingStatement:
        request, terms = grant.request, grant.terms
        return WaitingStatement(
            digest=grant.digest,
            kind="grant",
            owner_name=self._owner_name(grant.credential_id),
            expires_ms=expires_ms,
            agency=grant.agency.name,
            case_number=request.case_number,
            text=request.text,
            contact=request.contact,
            officer_name=request.officer_name,
            retention_days=request.retention_days,
            onward_sharing=request.onward_sharing,
            recipient_fingerprint=sha256_hex(unb64u(terms.recipient.sealing_keys[0]))[:16],
            has_audio=terms.has_audio,
            clips=[
                WaitingClip(
                    clip_id=clip.clip_id,
                    started_ms=clip.from_ms,
                    duration_ms=clip.to_ms - clip.from_ms,
                )
                for clip in terms.clips
            ],
        )

    def _owner_name(self, credential_id: str) -> str:
        owner = self._owners.find(credential_id)
        return owner.name if owner is not None else ""
