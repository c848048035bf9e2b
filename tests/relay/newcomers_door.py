"""A doorbell with an owner that answers newcomers' commitments through a relay, and no more."""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec

from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.newcomers import NewcomerRefused, Newcomers, TooManyNewcomers
from firmware.protocol.commands import NewcomerAnswered, NewcomerCommitted, Refused, ReplyBody
from firmware.protocol.encoding import new_id
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import (
    NONCE_BYTES,
    PairingCode,
    PairingOffer,
    SignedPairingAnswer,
)
from tests.relay.http_people import Owner
from tests.relay.http_world import World, asked_of


@dataclass
class NewcomersDoor:
    """One doorbell."""

    world: World
    keys: DeviceKeys
    newcomers: Newcomers

    @classmethod
    async def enrol(cls, world: World, folder: Path) -> "NewcomersDoor":
        """Enrol a doorbell that has keys of its own."""
        keys = load_or_make_keys(folder / "bell")
        await world.enrol_online(keys)
        return cls(world, keys, Newcomers(keys=keys, has_owner=lambda: True))

    @property
    def device(self) -> str:
        return self.keys.device

    async def commit(self, newcomer: Owner, code: PairingCode) -> httpx2.Response:
        """Let a newcomer commit, and the doorbell answer if it is asked."""
        await newcomer.post("/pairings", {"pairing_id": code.pairing_id})
        path = f"/pairings/{code.pairing_id}/commitment"
        answering = asyncio.create_task(self._answer())
        told = await newcomer.post(path, {"commitment": code.commitment})
        answering.cancel()
        await asyncio.wait([answering])
        return told

    async def met(self, newcomer: Owner, keys: OwnerKeys) -> dict[str, str]:
        """Let a newcomer commit to these keys and be answered; return what `/join` takes."""
        offer = PairingOffer(keys, pairing_id=new_id(), nonce=secrets.token_bytes(NONCE_BYTES))
        told = (await self.commit(newcomer, offer.code)).json()
        (signed,) = told["answers"]
        answered = offer.take_answer(msgspec.convert(signed, SignedPairingAnswer))
        reveal = answered.reveal.encode().decode()
        return {"pairing_id": offer.code.pairing_id, "reveal": reveal}

    async def _answer(self) -> None:
        body = await asked_of(self.world, self.device)
        assert isinstance(body, NewcomerCommitted), body
        await self.world.answer(self.device, self._reply(body))

    def _reply(self, body: NewcomerCommitted) -> ReplyBody:
        code = PairingCode(pairing_id=body.pairing_id, commitment=body.commitment)
        try:
            return NewcomerAnswered(signed=self.newcomers.commit(code, 0))
        except TooManyNewcomers as error:
            return Refused(reason="busy", detail=str(error))
        except NewcomerRefused as error:
            return Refused(reason="pairing", detail=str(error))
