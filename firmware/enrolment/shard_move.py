"""Move of an enrolled doorbell to another shard, which its relay leads to when a shard is split.

Keys, owners, recordings and settings stay; relay, certificates, and the register that is followed
become the other shard's. So that no two operators alone can put another register in the place of
the one that the owners compared, it takes both: the directory's signers (`enrolment.shards`), and,
once the doorbell has an owner, two administrators of the register that it follows, who signed the
other one's charter as its successor. The next start then puts the files into place
(`firmware.system.shard_move`).
"""

import asyncio
import logging
import shutil
from pathlib import Path

from firmware.enrolment.client import (
    Enroller,
    check_shard_enrolment,
    claim_at,
    store_enrolment,
)
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.shards import LedShard, ShardGuide, Successors
from firmware.errors import ShardRefused
from firmware.protocol.claims import Enrolment
from firmware.protocol.encoding import WireError
from firmware.protocol.shards import Elsewhere, arrival_secret
from firmware.system.listeners import Listeners
from firmware.system.shard_move import NEXT_SHARD

LOG_PATH = "/log"
"""Under which each relay serves its logs, wherever else they are served."""
NO_END_MS = 253_402_300_799_999
"""The relay keeps when an arrival's claim ends."""

log = logging.getLogger(__name__)


class ShardMove:
    """Takes the relay's word that this doorbell is another shard's."""

    def __init__(
        self,
        *,
        data_dir: Path,
        relay_url: str,
        keys: DeviceKeys,
        enroller: Enroller,
        guide: ShardGuide,
    ) -> None:
        self.ready = Listeners[()]()
        """Notified once the other shard's files are stored and count from the next start on."""
        self._folder = data_dir / NEXT_SHARD
        self._relay_url = relay_url
        self._keys = keys
        self._enroller = enroller
        self._guide = guide
        self._register: Successors | None = None

    def succeed(self, register: Successors) -> None:
        """Hold other registers to this one; before, the doorbell moves nowhere."""
        self._register = register

    async def take(self, elsewhere: Elsewhere) -> None:
        """Follow a relay's answer that leads to another; raises EnrolmentError or OSError."""
        led = await self._guide.lead(elsewhere, from_url=self._relay_url)
        await self._check_register(led)  # first: once it has enrolled there, it can't go back
        secret = arrival_secret(self._keys.device)
        claim = claim_at(led.shard, secret, expires_ms=NO_END_MS)
        enrolment = await self._enroller.arrive(claim)
        check_shard_enrolment(enrolment, led.shard)
        await asyncio.to_thread(self._store, led, enrolment)
        log.warning("shard %s has this doorbell; it begins anew there", led.shard.id)
        self.ready.notify()

    async def _check_register(self, led: LedShard) -> None:
        if self._register is None:
            raise ShardRefused("register", "this doorbell doesn't know its register yet")
        try:
            await self._register.check_successor(led.policy, led.shard.relay_url + LOG_PATH)
        except WireError as error:
            raise ShardRefused("register", str(error)) from error

    def _store(self, led: LedShard, enrolment: Enrolment) -> None:
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._folder.mkdir(mode=0o700)
        led.keep(self._folder)
        store_enrolment(self._folder, enrolment)
