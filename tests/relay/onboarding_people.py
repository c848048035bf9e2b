"""An agency that wants to take part, with real keys and the relay's public pages open."""

import re
from typing import Any

import httpx2

from firmware.protocol.encoding import b64u, decode, sha256_hex
from firmware.protocol.register.entries import Agreement
from relay.agency.changes import AdminKey, ProposedChange, sign_change
from relay.agency.keys import AgencyEnrolment, NewAgency, generate_agency, sign_agreement
from tests.relay.admin_people import Admin
from tests.relay.http_world import CELLS, DAY_MS, RELAY_URL, World

TEXT = "Mapleton Police asks owners through Doorward.\nRecordings are kept for 30 days."
MAX_BYTES = 1_000_000


class Applicant:
    """Somebody at an agency."""

    def __init__(self, world: World, agency: str = "mapleton", domain: str = "") -> None:
        self.world = world
        self.agency = agency
        self.email = f"chief@{domain or agency + '.gov'}"
        self.http = world.browser(RELAY_URL)
        self.keys: NewAgency = generate_agency(agency)
        self.path = ""

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]

    async def ask(self, **changes: str) -> httpx2.Response:
        fields = {"agency": self.agency, "name": "Mapleton Police", "email": self.email}
        answer = await self.http.post("/for-agencies", data=fields | changes)
        self.path = answer.headers.get("location", self.path)
        return answer

    async def confirm(self, code: str | None = None) -> httpx2.Response:
        code = self.world.post.code if code is None else code
        return await self.http.post(self.path + "/code", data={"code": code})

    async def ask_again(self) -> httpx2.Response:
        """Have another code sent: a form without fields, as browsers send it."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.http.post(self.path + "/code/again", headers=form)

    def enrolment(
        self, *, text: str = TEXT, keys: NewAgency | None = None, **changes: Any
    ) -> bytes:
        """What doorward-agency enrol writes."""
        keys = keys or self.keys
        now_ms = self.world.clock.wall_ms()
        fields: dict[str, Any] = {
            "origin": self.world.register.origin,
            "agency": self.agency,
            "name": "Mapleton Police",
            "version": 1,
            "text_sha256": sha256_hex(text.encode()),
            "vote": "none",
            "gifts": "none",
            "promotion": "none",
            "begins_ms": now_ms,
            "ends_ms": now_ms + 365 * DAY_MS,
            "signing_key": b64u(keys.key.signing_key_spki()),
            "sealing_keys": [one.key for one in keys.public.sealing_keys],
            "cells": CELLS,
        }
        signed = sign_agreement(keys.key, Agreement(**(fields | changes)))
        return AgencyEnrolment(signed=signed, text=text).encode()

    async def upload(self, data: bytes, what: str = "enrolment") -> httpx2.Response:
        files = {"file": ("enrolment.json", data, "application/json")}
        return await self.http.post(f"{self.path}/{what}", files=files)

    async def measure(self, area: str, **fields: str) -> httpx2.Response:
        """Send what was drawn or typed."""
        return await self.http.post(self.path + "/area", data={"area": area, **fields})

    async def enrolled(self, **changes: Any) -> "Applicant":
        """Come as far as an administrator can prepare."""
        assert (await self.ask()).status_code == 303
        assert (await self.confirm()).status_code == 303
        assert (await self.upload(self.enrolment(**changes))).status_code == 303
        return self

    async def state(self) -> str:
        page = (await self.http.get(self.path)).text
        return re.findall(r'data-state="([a-z]+)"', page)[0]


def reason_of(page: httpx2.Response) -> str:
    """Return why a page says that something was refused."""
    found = re.search(r'id="refusal" data-reason="([a-z_]+)"', page.text)
    return "" if found is None else found[1]


def digest_in(page: str) -> str:
    """Return which file an administrator's page shows."""
    found = re.search(r'name="enrolment_sha256" value="([0-9a-f]{64})"', page)
    return "" if found is None else found[1]


async def prepare(admin: Admin, applicant: Applicant) -> ProposedChange:
    """Let an administrator prepare the change of what their page shows, and download it."""
    path = f"/onboardings/{applicant.id}"
    seen = digest_in((await admin.get(path)).text)
    answer = await admin.send(path + "/prepare", enrolment_sha256=seen)
    assert answer.status_code == 303, answer.text
    return await change_of(admin, applicant)


async def change_of(admin: Admin, applicant: Applicant) -> ProposedChange:
    answer = await admin.get(f"/onboardings/{applicant.id}/change.json")
    return decode(ProposedChange, answer.content, max_bytes=MAX_BYTES)


async def hand_in(
    admin: Admin, applicant: Applicant, change: ProposedChange, *keys: AdminKey
) -> httpx2.Response:
    """Sign a downloaded change with these keys, and hand it in."""
    for key in keys:
        change = sign_change(change, key)
    return await admin.http.post(
        f"/admin/onboardings/{applicant.id}/signed",
        data={"csrf": admin.csrf},
        files={"file": ("change.json", change.encode(), "application/json")},
    )
