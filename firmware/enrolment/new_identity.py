"""A new identity for a doorbell whose card was copied, by the link that its owner's app shows.

The new keys are made and enrolled in a folder of their own, so a link that the relay refuses costs
nothing, and the same link works again if its answer got lost. Once that folder is whole, the next
start wipes all else and moves it in (`firmware.system.factory_reset`): owners, door number, clips
and the key that sealed them are the copy's as well. The link must be of the same relay: nobody
moves a doorbell to another with it. The shard that the doorbell was led to stays as well, with its
policy.
"""

import asyncio
import logging
import random
from pathlib import Path
from typing import Protocol

import httpx2

from firmware.enrolment.client import Enroller
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.shard_policy import copy_shard
from firmware.errors import ClaimRefused
from firmware.protocol.claims import Enrolment, read_invitation
from firmware.protocol.encoding import WireError
from firmware.system.durable_files import write_atomic
from firmware.system.factory_reset import NEXT_IDENTITY
from firmware.system.listeners import Listeners

CLAIM_FILE = "claim.json"

log = logging.getLogger(__name__)


class OwnIdentity(Protocol):
    """The identity of now (`firmware.enrolment.cloned_identity.ClonedIdentity`)."""

    @property
    def is_cloned(self) -> bool:
        """Whether another device uses a copy of the card."""
        ...


class NewIdentity:
    """Gets a new identity; the doorbell then ends, and begins anew with it."""

    def __init__(
        self,
        *,
        data_dir: Path,
        keys: DeviceKeys,
        enrolment: Enrolment,
        identity: OwnIdentity,
        http: httpx2.AsyncClient,
        source: random.Random,
    ) -> None:
        self.enrolled = Listeners[()]()
        """Notified once the new identity is stored and counts from the next start on."""
        self._data_dir = data_dir
        self._keys = keys
        self._enrolment = enrolment
        self._identity = identity
        self._http = http
        self._source = source
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_wanted(self) -> bool:
        """Whether this doorbell may get one."""
        return self._identity.is_cloned

    async def take(self, link: str) -> None:
        """Enrol a new identity by an invitation's link; raises EnrolmentError or OSError.

        The caller has seen the door number.
        """
        if not self.is_wanted:
            raise ClaimRefused("not_cloned", "the relay hasn't said that this card was copied")
        async with self._one_at_a_time:
            await self._enrol(link)
        log.warning("the new identity is enrolled; the doorbell begins anew with it")
        self.enrolled.notify()

    async def _enrol(self, link: str) -> None:
        try:
            claim = read_invitation(link.encode()).claim
        except WireError as error:
            raise ClaimRefused("unreadable", f"this isn't the app's link: {error}") from error
        if claim.relay_url.rstrip("/") != self._enrolment.relay_url.rstrip("/"):
            raise ClaimRefused("relay", f"the link is of another relay than {self._where}")
        folder = self._data_dir / NEXT_IDENTITY
        keys = await asyncio.to_thread(load_or_make_keys, folder)
        await asyncio.to_thread(write_atomic, folder / CLAIM_FILE, claim.encode())
        await asyncio.to_thread(copy_shard, self._data_dir, folder)
        enroller = Enroller(
            data_dir=folder,
            claim_file=folder / CLAIM_FILE,
            keys=keys,
            http=self._http,
            source=self._source,
            replaced=self._keys,
        )
        await enroller.enrol()

    @property
    def _where(self) -> str:
        return self._enrolment.relay_url
