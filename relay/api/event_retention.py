"""How long the relay keeps the events of the caller's doorbells."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from relay.api.auth import Owner, Services
from relay.config.settings import LEAST_EVENT_DAYS, MOST_EVENT_DAYS

router = APIRouter()


class RetentionIn(BaseModel):
    """For how many days events are kept; null: as long as the relay keeps any."""

    model_config = ConfigDict(extra="forbid", strict=True)
    days: Annotated[int, Field(ge=LEAST_EVENT_DAYS, le=MOST_EVENT_DAYS)] | None


class RetentionOut(BaseModel):
    """What the caller has chosen, null before they have, and the least and most that there are."""

    days: int | None
    least_days: int
    most_days: int


@router.get("/account/events")
async def find(services: Services, owner: Owner) -> RetentionOut:
    """Return how long the events of the caller's doorbells are kept."""
    choice = await services.event_retention.find(owner)
    return RetentionOut(days=choice.days, least_days=LEAST_EVENT_DAYS, most_days=choice.most)


@router.put("/account/events", status_code=204)
async def choose(services: Services, owner: Owner, body: RetentionIn) -> Response:
    """Choose how long they are kept; what is older goes within the hour, and doesn't come back."""
    await services.event_retention.choose(owner, body.days)
    return Response(status_code=204)
