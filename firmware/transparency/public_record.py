"""Wiring of the public logs for one doorbell: the register's follower, and its own slots.

    register ─► follower ─► facts for consent, requests for the owners' notes
    finished clips, notes ─► slot ─► relay ─► custody log ─► capture proofs

Without a policy on the card (config `[log] policy`) no log is believed: nothing is followed,
nothing can be released, and all else goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

import httpx2

from firmware.decisions.request_intake import RequestIntake
from firmware.protocol.commands import Accepted, RegisterGrew, ReplyBody, SlotLogged
from firmware.protocol.custody import (
    IDENTITY_AGE_MS,
    MAX_IDENTITY_AGE_MS,
    CaptureProof,
    IdentityProof,
)
from firmware.protocol.encoding import WireError
from firmware.protocol.events import TroubleCode
from firmware.protocol.register.entries import EXAMPLE_PREFIX
from firmware.protocol.register.extract import RegisterExtract
from firmware.protocol.register.facts import RegisterFacts, no_register
from firmware.protocol.tlog.policy import Policy
from firmware.protocol.tlog.proof import parse_proof
from firmware.store.slots import SlotStore
from firmware.system.ownership import Ownership
from firmware.transparency.errors import FollowError, LogUnreachable
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.policy_file import Logs
from firmware.transparency.slots import SlotAnswers, Slots
from firmware.transparency.successor import first_entry_of

LOOK_AGAIN_S = 1.0
WITNESSED_WITHIN_MS = 2 * 3600 * 1000
"""So long after its end a slot that is kept was witnessed at the latest."""

Part = Callable[[], Awaitable[None]]


class NoRegister:
    """The register of a doorbell that believes no log. Implements `request_desk.Register`."""

    def facts(self) -> RegisterFacts:
        """Return that nothing is known."""
        return no_register("")


class PublicRecord:
    """Follower of the register and slots of one doorbell.

    It has `logs` and a `follower`, `slots` and their `answers`, or none of these.
    """

    def __init__(
        self,
        *,
        owners: Ownership,
        store: SlotStore,
        requests: RequestIntake,
        http: httpx2.AsyncClient,
        logs: Logs | None = None,
        follower: RegisterFollower | None = None,
        slots: Slots | None = None,
        answers: SlotAnswers | None = None,
    ) -> None:
        self._owners = owners
        self._store = store
        self._http = http
        self.requests = requests
        self.policy: Policy | None = None if logs is None else logs.policy
        self.custody_origin = "" if logs is None else logs.custody_origin
        name = self.custody_origin.partition("/")[0]
        self.example_town = name if name.startswith(EXAMPLE_PREFIX) else ""
        """The logs' name where that is an invented town's: pages say so."""
        self._follower = follower
        self._slots = slots
        self._answers = answers

    @property
    def parts(self) -> dict[str, Part]:
        """What has to run as long as the doorbell does, once it has an owner."""
        if self._follower is None or self._slots is None:
            return {}
        follower, slots = self._follower, self._slots
        return {
            "register": partial(self._once_owned, follower.run),
            "slots": partial(self._once_owned, slots.run),
        }

    @property
    def present_troubles(self) -> Collection[TroubleCode]:
        """The trouble that a register is which contradicts itself, as health reports it."""
        has_contradiction = self._follower is not None and self._follower.has_contradiction
        return ["register"] if has_contradiction else []

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
        proof = self._store.capture_proof(clip_id)
        return proof if proof is not None and self._is_ours(proof.proof) else None

    def identity_proof(self, begins_ms: Sequence[int]) -> IdentityProof | None:
        """Return the newest slot that is a day older than all recordings that began then."""
        slot_ms = None if self._follower is None else self._follower.slot_ms
        if slot_ms is None or not begins_ms:
            return None
        newest_ms = min(begins_ms) - IDENTITY_AGE_MS - WITNESSED_WITHIN_MS
        oldest_ms = max(begins_ms) - MAX_IDENTITY_AGE_MS
        proof = self._store.identity_proof(
            first=-(-oldest_ms // slot_ms), last=newest_ms // slot_ms - 1
        )
        return proof if proof is not None and self._is_ours(proof.proof) else None

    def _is_ours(self, proof: str) -> bool:
        """Return whether a stored proof is of the log that is followed: not of an earlier shard."""
        note = parse_proof(proof.encode()).note
        return note.partition(b"\n")[0] == self.custody_origin.encode()

    async def check_successor(self, policy: bytes, log_url: str) -> None:
        """Raise WireError unless another shard's register succeeds the one that is followed.

        A doorbell that nobody owns follows none yet: nobody has compared what it follows.
        """
        if not self._owners.has_owner():
            return
        if self._follower is None:
            raise WireError("this doorbell follows no public register")
        try:
            first = await first_entry_of(self._http, policy, log_url)
        except FollowError as error:
            raise WireError(f"the other register can't be read: {error}") from error
        try:
            await self._follower.check_successor(first)
        except FollowError as error:
            raise WireError(
                f"nothing shows yet that it succeeds the register that is followed: {error}"
            ) from error

    async def on_register_grew(self, command: RegisterGrew) -> ReplyBody:
        """The relay says that the register has more."""
        return Accepted() if self._follower is None else await self._follower.on_grown(command)

    async def on_slot_logged(self, command: SlotLogged) -> ReplyBody:
        """The relay says that a slot is in the custody log."""
        return Accepted() if self._answers is None else await self._answers.on_logged(command)

    async def _once_owned(self, part: Part) -> None:
        """Run a part from the pairing on: before, nothing is written to the card."""
        while not self._owners.has_owner():  # noqa: ASYNC110 (asked for once a second, till the pairing)
            await asyncio.sleep(LOOK_AGAIN_S)
        await part()
