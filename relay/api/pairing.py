"""Pairings and joins: they link accounts to the doorbells that they follow."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from firmware.protocol.encoding import WireError
from firmware.protocol.pairing import MAX_REVEAL_BYTES, Reveal, parse_browser_reveal, parse_reveal
from relay.api.auth import Owner, Services
from relay.api.errors import ApiError, not_found
from relay.api.ids import DeviceId, PairingId

router = APIRouter()


class PairingIn(BaseModel):
    """The id in the QR code that the app shows."""

    model_config = ConfigDict(extra="forbid")
    pairing_id: PairingId


class AnswerOut(BaseModel):
    """A protocol.pairing.SignedPairingAnswer."""

    answer: str
    signature: str


class PairingOut(BaseModel):
    """A pairing's state: waiting, answered, revealed, stopped or paired.

    `answers` are what doorbells signed for its code: with a second one the app ends the pairing.
    """

    state: str
    answers: list[AnswerOut]


class CommitmentIn(BaseModel):
    """A newcomer's first message, which a camera doesn't read; without `device` the only one."""

    model_config = ConfigDict(extra="forbid")
    device: DeviceId | None = None
    commitment: str = Field(pattern="^[0-9a-f]{64}$")


class RevealIn(BaseModel):
    """The text of a protocol.pairing.Reveal; the relay doesn't look into it."""

    model_config = ConfigDict(extra="forbid")
    reveal: str = Field(min_length=1, max_length=MAX_REVEAL_BYTES)


class JoinIn(BaseModel):
    """The third message of a newcomer who would be an owner or a guest, for who may let them in."""

    model_config = ConfigDict(extra="forbid")
    pairing_id: PairingId
    reveal: str = Field(min_length=1, max_length=MAX_REVEAL_BYTES)


class JoinOut(BaseModel):
    """A newcomer who waits for a signature; `reveal` is a protocol.pairing.PairingReveal."""

    pairing_id: str
    device: str
    reveal: str


class JoinsOut(BaseModel):
    """All newcomers who wait."""

    joins: list[JoinOut]


@router.post("/pairings", status_code=201)
async def start_pairing(services: Services, owner: Owner, body: PairingIn) -> PairingOut:
    """Wait ten minutes for a doorbell that reads this code."""
    await services.pairings.start(owner, body.pairing_id)
    return await get_pairing(services, owner, body.pairing_id)


@router.get("/pairings/{pairing_id}")
async def get_pairing(services: Services, owner: Owner, pairing_id: str) -> PairingOut:
    """Return a pairing's state."""
    pairing = await services.pairings.find(owner, pairing_id)
    if pairing is None:
        raise not_found("pairing")
    return PairingOut(
        state=pairing.state,
        answers=[AnswerOut(answer=one.answer, signature=one.signature) for one in pairing.answers],
    )


async def own_pairing(services: Services, owner: Owner, pairing_id: str) -> None:
    """Raise 404 for another's pairing as for none, before the body is looked at."""
    if await services.pairings.find(owner, pairing_id) is None:
        raise not_found("pairing")


@router.post("/pairings/{pairing_id}/commitment", dependencies=[Depends(own_pairing)])
async def commit(
    services: Services, owner: Owner, pairing_id: str, body: CommitmentIn
) -> PairingOut:
    """Pass a newcomer's first message to a doorbell that has an owner, and return its answer."""
    await services.pairings.commit(owner, pairing_id, body.commitment, body.device)
    return await get_pairing(services, owner, pairing_id)


@router.post("/pairings/{pairing_id}/reveal", status_code=202, dependencies=[Depends(own_pairing)])
async def reveal(services: Services, owner: Owner, pairing_id: str, body: RevealIn) -> PairingOut:
    """Pass the third message to the doorbell that has answered."""
    await services.pairings.reveal(owner, pairing_id, body.reveal)
    return await get_pairing(services, owner, pairing_id)


@router.delete("/pairings/{pairing_id}", dependencies=[Depends(own_pairing)])
async def stop_pairing(services: Services, owner: Owner, pairing_id: str) -> PairingOut:
    """End a pairing because another word was tapped, or the person broke it off."""
    await services.pairings.stop(owner, pairing_id)
    return await get_pairing(services, owner, pairing_id)


@router.post("/join", status_code=201)
async def join(services: Services, owner: Owner, body: JoinIn) -> PairingOut:
    """Ask the owners of the doorbell that answered to sign the caller in."""
    try:
        reveal = _reveal_of(body.reveal)
    except WireError as error:
        raise ApiError(422, "invalid", f"reveal: {error}") from error
    await services.pairings.join(owner, body.pairing_id, reveal)
    return await get_pairing(services, owner, body.pairing_id)


@router.get("/joins")
async def list_joins(services: Services, owner: Owner) -> JoinsOut:
    """Return the newcomers to the caller's doorbells."""
    return JoinsOut(
        joins=[
            JoinOut(
                pairing_id=found.pairing_id,
                device=found.device,
                reveal=found.reveal,
            )
            for found in await services.pairings.joins(owner)
        ]
    )


def _reveal_of(text: str) -> Reveal:
    """Parse the keys of an owner, or of a guest's browser: no text is of both."""
    try:
        return parse_browser_reveal(text)
    except WireError:
        return parse_reveal(text)
