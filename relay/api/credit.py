"""Sign-up of an owner's doorbell with a partner's code (R25)."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from relay.api.auth import Owner, Services

router = APIRouter()


class SignUpIn(BaseModel):
    """A campaign's public code, as somebody typed it."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(min_length=1, max_length=40)


@router.post("/credits/sign-up", status_code=204)
async def sign_up(services: Services, owner: Owner, body: SignUpIn) -> Response:
    """Count a doorbell of the caller, paired for 30 days, for a campaign; each doorbell once.

    The code isn't kept, and the answer doesn't tell what the campaign has left.
    """
    await services.sign_ups.sign_up(owner, body.code)
    return Response(status_code=204)
