"""Wiring of the public logs for one doorbell: the register's follower, and its own slots.

    register ─► follower ─► facts for consent, requests for the owners' notes
    finished clips, notes ─► slot ─► relay ─► custody log ─► capture proofs

Only putting together belongs here. Without a policy on the card (config `[log] policy`) no log is
believed: nothing is followed, nothing can be released, and all else goes on.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2

from firmware.decisions.request_intake import RequestIntake
from firmware.enrolment.browsers import BrowserStore
from firmware.notes.sealed_notes import Notes
from firmware.outbox.publisher import Tell
from firmware.protocol.commands import Accepted, RegisterGrew, ReplyBody, SlotLogged
from firmware.protocol.custody import CaptureProof
from firmware.protocol.register.entries import EXAMPLE_PREFIX
from firmware.protocol.register.extract import RegisterExtract
from firmware.protocol.register.facts import RegisterFacts, no_register
from firmware.protocol.tlog.policy import Policy
from firmware.store.database import Database
from firmware.store.household import HouseholdStore
from firmware.store.slots import SlotStore
from firmware.store.statements import StatementStore
from firmware.system.clock import SystemClock
from firmware.transparency.errors import LogUnreachable
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import Logs
from firmware.transparency.slots import Slots, WaitingEvents
from firmware.transparency.state_signature import IdentitySigner

LOOK_AGAIN_S = 1.0

log = logging.getLogger(__name__)

Part = Callable[[], Awaitable[None]]


class PublicRecord:
    """Follower of the register and slots of one doorbell."""

    def __init__(
        self,
        *,
        folder: Path,
        device: str,
        signer: IdentitySigner,
        cell: str,
        is_opted_in: bool,
        logs: Logs | None,
        log_url: str,
        http: httpx2.AsyncClient,
        clock: SystemClock,
        database: Database,
        statements: StatementStore,
        household: HouseholdStore,
        browsers: BrowserStore,
        notes: Notes,
        events: WaitingEvents,
        tell: Tell,
        has_owner: Callable[[], bool],
        source: random.Random,
    ) -> None:
        self._has_owner = has_owner
        self._store = SlotStore(database)
        self.policy: Policy | None = None if logs is None else logs.policy
        self.custody_origin = "" if logs is None else logs.custody_origin
        name = self.custody_origin.partition("/")[0]
        self.example_town = name if name.startswith(EXAMPLE_PREFIX) else ""
        """The logs' name where that is an invented town's: pages say so."""
        self._follower: RegisterFollower | None = None
        self._slots: Slots | None = None
        self.requests = RequestIntake(
            cell=cell,
            is_opted_in=is_opted_in,
            clock=clock,
            register=self,
            browsers=browsers,
            household=household,
            statements=statements,
            slots=self._store,
        )
        if logs is None:
            log.warning("no policy of a public log is on the card: nothing can be released")
            return
        follower = self._follower = RegisterFollower(
            folder=folder,
            logs=logs,
            source=LogSource(http, log_url, "register"),
            clock=clock,
            signer=signer,
            note_witnessed=clock.note_witnessed,
            chance=source,
        )
        self._slots = Slots(
            device=device,
            clock=clock,
            logs=logs,
            slot_ms=lambda: follower.slot_ms,
            desk=self.requests,
            notes=notes,
            store=self._store,
            events=events,
            tell=tell,
            chance=source,
        )

    @property
    def parts(self) -> dict[str, Part]:
        """What has to run as long as the doorbell does, once it has an owner."""
        if self._follower is None or self._slots is None:
            return {}
        follower, slots = self._follower, self._slots
        return {
            "register": lambda: self._once_owned(follower.run),
            "slots": lambda: self._once_owned(slots.run),
        }

    @property
    def has_contradiction(self) -> bool:
        """Whether the register was seen to contradict itself, so that nothing is released."""
        return self._follower is not None and self._follower.has_contradiction

    @property
    def newest_checkpoint(self) -> str | None:
        """The newest witnessed checkpoint of the register: what a clip that begins now names."""
        return None if self._follower is None else self._follower.newest_checkpoint

    def facts(self) -> RegisterFacts:
        """Return what may be counted on of the register."""
        return no_register("") if self._follower is None else self._follower.facts()

    def extract(self, request_digest: str) -> RegisterExtract:
        """Return what a package carries of the register for a request, or raise DoorwardError."""
        if self._follower is None:
            raise LogUnreachable("this doorbell follows no public register")
        return self._follower.extract(request_digest)

    def capture_proof(self, clip_id: str) -> CaptureProof | None:
        """Return the proof that a clip was committed to in its slot, if there is one."""
        return self._store.capture_proof(clip_id)

    async def on_register_grew(self, command: RegisterGrew) -> ReplyBody:
        """The relay says that the register has more."""
        return Accepted() if self._follower is None else await self._follower.on_grown(command)

    async def on_slot_logged(self, command: SlotLogged) -> ReplyBody:
        """The relay says that a slot is in the custody log."""
        return Accepted() if self._slots is None else await self._slots.on_logged(command)

    async def _once_owned(self, part: Part) -> None:
        """Run a part from the pairing on: before, nothing is written to the card."""
        while not self._has_owner():  # noqa: ASYNC110 (asked for once a second, till the pairing)
            await asyncio.sleep(LOOK_AGAIN_S)
        await part()
