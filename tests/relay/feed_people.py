"""Members of the neighbours' feed at a relay's HTTP side, and pictures that they send."""

import io
from typing import Any

import httpx2
from PIL import Image

from firmware.protocol.encoding import new_id
from relay.store.feed import PostRow
from tests.relay.http_people import Owner
from tests.relay.http_world import API, HOUR_MS, World

DISTRICT = "lake-morton"
CELL = "88441a5ac7fffff"
FOLLOWING = {
    "groups": ["safety"],
    "how": "push",
    "minute": 18 * 60,
    "time_zone": "Europe/Stockholm",
    "quiet": None,
}
TEXT = "A parcel was taken from the stairs, and the empty box left in the street."


def jpeg_of(colour: str = "teal", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """Return a small picture."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG", **options)
    return file.getvalue()


def photo() -> bytes:
    """Return a picture of a street in the evening, more or less."""
    width, height = 640, 480
    image = Image.linear_gradient("L").resize((width, height))
    street = Image.merge("RGB", (image.point(lambda v: v // 2), image, image.point(lambda _: 120)))
    street.paste((60, 60, 66), (0, 320, width, height))
    street.paste((170, 120, 70), (280, 300, 360, 360))
    file = io.BytesIO()
    street.save(file, "JPEG")
    return file.getvalue()


async def member(world: World, name: str = "Ada", district: str = DISTRICT) -> Owner:
    """Return somebody with an account, and without a doorbell, who has chosen a district."""
    owner = Owner(world, name)
    assert (await owner.register()).is_success
    chosen = await owner.put("/feed/membership", {"district": district})
    assert chosen.is_success, chosen.text
    return owner


async def upload(owner: Owner, data: bytes, media_type: str = "image/jpeg") -> httpx2.Response:
    """Send a picture for a post."""
    headers = {"Content-Type": media_type}
    return await owner.http.post(f"{API}/feed/pictures", content=data, headers=headers)


async def write(owner: Owner, **changes: Any) -> httpx2.Response:
    """Send a post that keeps every rule, but for `changes`."""
    post = {
        "kind": "parcel_taken",
        "cell": CELL,
        "hour_ms": owner.world.clock.wall_ms() - HOUR_MS,
        "text": TEXT,
        "pictures": [],
    }
    return await owner.post("/feed/posts", post | changes)


async def waiting_post(owner: Owner, **changes: Any) -> str:
    """Return the id of a post that waits for a moderator."""
    answer = await write(owner, **changes)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def published_post(owner: Owner, **changes: Any) -> str:
    """Return the id of a post that everybody sees."""
    post_id = await waiting_post(owner, **changes)
    await owner.world.feed.moderation.publish(post_id, moderator="mia", is_urgent=True)
    return post_id


async def posts(http: httpx2.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """Return what everybody reads."""
    answer = await http.get(f"{API}/feed/posts", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["posts"]
    return found


def stored_post(number: int, now_ms: int) -> PostRow:
    """Return a published post; twenty of one batch each."""
    out_ms = now_ms - number // 20 * HOUR_MS
    return PostRow(
        id=new_id(),
        district=DISTRICT,
        cell=CELL,
        kind="hazard",
        hour_ms=out_ms - HOUR_MS,
        text=TEXT,
        written_by="neighbour",
        account_id=None,
        agency=None,
        refers=None,
        is_urgent=False,
        state="published",
        written_ms=out_ms,
        changed_ms=out_ms,
        published_ms=out_ms,
    )
