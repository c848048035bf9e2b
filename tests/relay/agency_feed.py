"""Officers who post in the neighbours' feed with real passkeys, in a town with a district there."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from firmware.protocol.encoding import new_id
from firmware.protocol.feed_posts import POST_COSIGN_TAG, POST_TAG, AgencyPost
from firmware.protocol.passkeys import challenge
from relay.map.cells import parent_of
from relay.map.districts import District, Districts
from relay.map.map_data import MapData
from tests.relay.http_people import Officer, id_of
from tests.relay.http_world import API, CELLS, HOUR_MS, World, open_world

CELL = parent_of(CELLS[0])
HARBOUR = District(id="harbour", name="Harbour", addresses=3000, cells=(CELL,))
ELSEWHERE = District(
    id="lake-morton", name="Lake Morton", addresses=2140, cells=("88441a5ac7fffff",)
)
MAPS = MapData(districts=Districts([HARBOUR, ELSEWHERE]))


@asynccontextmanager
async def open_feed_world(folder: Path, **changes: Any) -> AsyncIterator[World]:
    """Build a relay whose agency's jurisdiction lies in a district."""
    async with open_world(folder, maps=MAPS, **changes) as world:
        yield world


class FeedOfficer(Officer):
    """An officer at the page of the agency's posts; the partner is an approver."""

    @classmethod
    async def certified(cls, world: World, name: str = "Officer Berg") -> "FeedOfficer":
        """Return an officer who may sign, with an approver as partner."""
        officer, partner = cls(world, name), cls(world, "Officer Dahl")
        for one, role in ((officer, "officer"), (partner, "approver")):
            await one.register()
            await one.get_certified(role=role)  # type: ignore[arg-type]
            await one.take_csrf()
        officer.partner, partner.partner = partner, officer
        return officer

    @property
    def approver(self) -> "FeedOfficer":
        assert isinstance(self.partner, FeedOfficer)
        return self.partner

    def write_post(self, *, is_danger: bool = False, **changes: Any) -> AgencyPost:
        """Write a post that keeps every rule, but for `changes`."""
        now_ms = self.world.clock.wall_ms()
        fields: dict[str, Any] = {
            "id": new_id(),
            "agency": self.agency,
            "officer_id": self.officer_id,
            "officer_name": self.name,
            "kind": "official",
            "cell": CELL,
            "hour_ms": now_ms - now_ms % HOUR_MS,
            "text": "Elm Street is closed until 18:00: gas is leaking. Shut the windows.",
            "created_ms": now_ms,
        }
        if is_danger:
            fields["cosigner_id"] = self.approver.officer_id
        return AgencyPost(**(fields | changes))

    async def hand_in_post(self, post: AgencyPost, *, sent: str = "") -> httpx2.Response:
        """Sign a post and send it, or another text than was signed."""
        text = post.encode()
        assert self.certificate is not None
        signed = {
            "post": sent or text.decode(),
            "assertion": json.loads(self.passkey.sign(challenge(POST_TAG, text)).encode()),
            "officer": json.loads(self.certificate.encode()),
        }
        return await self.http.post("/agency/feed", json={"signed": signed})

    async def cosign_post(
        self, post: AgencyPost, *, tag: bytes = POST_COSIGN_TAG
    ) -> httpx2.Response:
        """Co-sign a colleague's post."""
        assert self.certificate is not None
        cosigned = {
            "cosignature": json.loads(self.passkey.sign(challenge(tag, post.encode())).encode()),
            "cosigner": json.loads(self.certificate.encode()),
        }
        path = f"/agency/feed/{post.id}/cosign"
        return await self.http.post(path, json={"cosigned": cosigned})

    async def publish_request(self) -> str:
        """Publish a request, and return its id."""
        draft = self.sign(self.write())
        assert (await self.publish(draft)).is_success
        return id_of(draft)


async def public_posts(world: World) -> list[dict[str, Any]]:
    """Return what everybody reads, without signing in."""
    answer = await world.browser().get(f"{API}/feed/posts", params={"district": "harbour"})
    assert answer.is_success, answer.text
    found: list[dict[str, Any]] = answer.json()["posts"]
    return found
