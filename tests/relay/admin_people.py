"""Administrators with real passkeys at the relay's HTTP side."""

import re

import httpx2

from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import RELAY_URL, World
from tests.story.authenticator import SoftPasskey


class Admin:
    """An administrator at their pages."""

    def __init__(self, world: World, name: str = "Mia Sund") -> None:
        self.world = world
        self.name = name
        self.passkey = SoftPasskey.create(rp_id="relay.test", origin=RELAY_URL)
        self.http = world.browser(RELAY_URL)
        self.csrf = ""

    async def register(self, invitation: str | None = None) -> httpx2.Response:
        body = {"invitation": invitation or await self.world.invite_admin(), "name": self.name}
        begun = await self.http.post("/admin/register/options", json=body)
        if not begun.is_success:
            return begun
        answer = begun.json()
        credential = self.passkey.register(answer["options"])
        body = {"session": answer["session"], "credential": credential}
        return await self.http.post("/admin/register/verify", json=body)

    async def log_in(self) -> httpx2.Response:
        begun = (await self.http.post("/admin/login/options", json={})).json()
        body = {"session": begun["session"], "credential": self.passkey.log_in(begun["options"])}
        return await self.http.post("/admin/login/verify", json=body)

    async def take_csrf(self) -> None:
        found = re.search(r'name="csrf" content="([^"]+)"', (await self.http.get("/admin")).text)
        assert found is not None
        self.csrf = found[1]

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get("/admin" + path)

    async def send(self, path: str, **fields: str) -> httpx2.Response:
        """Send one of the pages' own forms."""
        return await self.http.post("/admin" + path, data={"csrf": self.csrf} | fields)


async def signed_in_admin(world: World, name: str = "Mia Sund") -> Admin:
    """Return an administrator with their pages open."""
    admin = Admin(world, name)
    assert (await admin.register()).is_success
    await admin.take_csrf()
    return admin


async def waiting_request(
    world: World, officer: Officer | None = None, **changes: object
) -> tuple[Officer, str]:
    """Return an officer, and the id of a request that waits for a moderator."""
    officer = officer or await certified_officer(world)
    assert officer.partner is not None
    draft = officer.sign(officer.write(**changes))
    assert (await officer.hand_in(draft)).is_success
    assert (await officer.partner.cosign(draft)).is_success
    return officer, id_of(draft)
