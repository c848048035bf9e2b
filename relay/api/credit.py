"""Sign-up of an owner's doorbell with a partner's code (R25)."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from relay.api.auth import Owner, Services

router = APIRouter()


class SignUpOut(BaseModel):
    """Whether a doorbell of the caller may count, and every campaign's public code.

    `from_ms` is when it may, while it is `waiting`. An app looks its code up by itself, so that
    the relay is told of none before it counts.
    """

    state: Literal["missing", "waiting", "ready", "used"]
    from_ms: int | None
    codes: list[str]


class SignUpIn(BaseModel):
    """A campaign's public code, as somebody typed it."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(min_length=1, max_length=40)


@router.get("/credits/sign-up")
async def show_sign_up(services: Services, owner: Owner) -> SignUpOut:
    """Return whether a doorbell of the caller may count now or later."""
    found = await services.sign_ups.standing(owner)
    return SignUpOut(state=found.state, from_ms=found.from_ms, codes=list(found.codes))


@router.post("/credits/sign-up", status_code=204)
async def sign_up(services: Services, owner: Owner, body: SignUpIn) -> Response:
    """Count a doorbell of the caller, paired for 30 days, for a campaign; each doorbell once.

    The code isn't kept, and the answer doesn't tell what the campaign has left.
    """
    await services.sign_ups.sign_up(owner, body.code)
    return Response(status_code=204)
