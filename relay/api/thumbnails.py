"""Sealed thumbnails of events, each with a content key wrapped to the asking browser."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from relay.api.auth import Owner, SeenDoorbell, Services, own_doorbell
from relay.api.errors import not_found
from relay.api.ids import BrowserId
from relay.store import thumbnails

router = APIRouter()


class KeyOut(BaseModel):
    """A protocol.thumbnails.WrappedKey."""

    browser: str
    sealed: str


class ThumbnailOut(BaseModel):
    """One ciphertext, with its key wrapped to the browser that asks."""

    picture: str
    key: KeyOut


@router.get("/doorbells/{device}/thumbnails/{event_id}")
async def get_thumbnail(
    services: Services,
    owner: Owner,
    response: Response,
    device: SeenDoorbell,
    event_id: str,
    browser: BrowserId,
) -> ThumbnailOut:
    """Return the picture of an event; a browser may keep it as long as the relay does."""
    now_ms = services.clock.wall_ms()
    guests = [one.guest for one in await services.pairings.guest_doorbells(owner)]
    at_device = [one for one in guests if one.device == device]
    if at_device and all(one.browser != browser or "rings" not in one.what for one in at_device):
        await own_doorbell(device, services, owner)
    async with services.database.read() as tx:
        row = await thumbnails.get(tx, device, event_id, now_ms=now_ms)
    key = None if row is None else row.key_for(browser)
    if row is None or key is None:
        raise not_found("picture")
    left_s = (row.received_ms + thumbnails.LIFE_MS - now_ms) // 1000
    response.headers["Cache-Control"] = f"private, max-age={max(0, left_s)}, immutable"
    response.headers["Vary"] = "Authorization"
    return ThumbnailOut(
        picture=row.sealed.picture, key=KeyOut(browser=key.browser, sealed=key.sealed)
    )
