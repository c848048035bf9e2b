"""Wiring of the household: owners, their browsers, notes and pushes to them, orders from them.

    pairing, statements ─► owners, browsers ─► notes, push (sealed to each browser)
    order (sealed by a browser) ─► push, snooze, quick reply

Only wiring belongs here; an owner's decisions are carried out by consent.py's parts.
"""

from pathlib import Path

from firmware.decisions.admission import Admission
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.newcomers import Newcomers
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import FollowedRegister, Pairing
from firmware.enrolment.pairing_messages import PairingMessages
from firmware.live.browser_orders import Orders, ReplyPlayer
from firmware.live.nonces import Nonces
from firmware.live.ring_feed import FedEvents, RingFeed
from firmware.live.signature_checks import SignatureChecks
from firmware.notes.pushes import Pushes
from firmware.notes.sealed_notes import Notes
from firmware.outbox.deferred_events import DeferredEvents
from firmware.outbox.publisher import EarlyEventPublisher
from firmware.protocol.browsers import BrowserKeys
from firmware.system.clock import Clock
from firmware.system.ownership import OWNERS_FILE


class Household:
    """Owners and enrolled browsers of one doorbell. Build it inside the running loop."""

    def __init__(
        self,
        data_dir: Path,
        *,
        keys: DeviceKeys,
        clock: Clock,
        events: EarlyEventPublisher,
        promises: DeferredEvents,
        replies: ReplyPlayer,
        register: FollowedRegister,
    ) -> None:
        self._clock = clock
        self.owners = OwnerStore(data_dir / OWNERS_FILE)
        self.browsers = BrowserStore(data_dir / "browsers.json", self.owners)
        self.notes = Notes(
            keys=keys, owners=self.owners, browsers=self.browsers, clock=clock, events=promises
        )
        self.rings = RingFeed()
        self.pushes = Pushes(
            device=keys.device,
            browsers=self.browsers,
            clock=clock,
            events=FedEvents(events, self.rings, clock),
        )
        self.admitting = Admission(
            owners=self.owners,
            browsers=self.browsers,
            notes=self.notes,
            clock=clock,
        )
        self.pairing = Pairing(
            keys=keys,
            has_owner=self.has_owner(),
            register=register,
        )
        self.newcomers = Newcomers(keys=keys, has_owner=self.has_owner, register=register)
        self.pairing_messages = PairingMessages(self.pairing, self.newcomers, clock)
        self.checks = SignatureChecks(
            device=keys.device,
            nonces=Nonces(clock=clock),
            browsers=self.browsers,
            owners=self.owners,
            clock=clock,
        )
        self.orders = Orders(
            sealing_private_key=keys.sealing_private_key,
            checks=self.checks,
            browsers=self.browsers,
            replies=replies,
            pushes=self.pushes,
        )
        self.orders.replied.add(self.pushes.answered)

    def has_owner(self) -> bool:
        """Return whether anybody is paired."""
        return bool(self.owners.owners)

    def browsers_that_see(self) -> list[BrowserKeys]:
        """Return the browsers that may see pictures of events now."""
        now_ms, is_trusted = self._clock.wall_ms(), self._clock.is_trusted()
        known = self.browsers.all()
        return [b.keys for b in known if b.may("rings", now_ms, is_clock_trusted=is_trusted)]

    async def on_time_known(self, _difference_ms: int) -> None:
        """Start the 30 days of browsers that were enrolled while the time wasn't known."""
        await self.admitting.on_time_known()
