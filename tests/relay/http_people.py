"""People who hold real keys at a relay's HTTP side: owners with the app open, and officers."""

from typing import Any

import httpx2

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Paired
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import (
    REQUEST_TAG,
    EvidenceRequest,
    SignedCertificate,
    SignedRequest,
)
from relay.agency.keys import OfficerFile, certify
from tests.relay.http_world import API, CELLS, DAY_MS, HOUR_MS, OWNER_ORIGIN, RELAY_URL, World
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


class Owner:
    """Somebody with the owner's app open."""

    def __init__(self, world: World, name: str = "Ada") -> None:
        self.world = world
        self.name = name
        self.passkey = SoftPasskey.create(rp_id="owner.test", origin=OWNER_ORIGIN)
        self.browser = SoftBrowser.create()
        self.http = world.browser()

    async def register(self, invitation: str | None = None) -> httpx2.Response:
        """Use an invitation; returns the last answer."""
        body = {"invitation": invitation or await self.world.invite_owner(), "name": self.name}
        begun = await self.http.post(f"{API}/owner/register/options", json=body)
        if not begun.is_success:
            return begun
        return await self._finish("register", begun.json(), self.passkey.register)

    async def log_in(self) -> httpx2.Response:
        begun = await self.http.post(f"{API}/owner/login/options", json={})
        return await self._finish("login", begun.json(), self.passkey.log_in)

    async def _finish(self, step: str, begun: dict[str, Any], act: Any) -> httpx2.Response:
        body = {"session": begun["session"], "credential": act(begun["options"])}
        done = await self.http.post(f"{API}/owner/{step}/verify", json=body)
        if done.is_success:
            self.http.headers["Authorization"] = f"Bearer {done.json()['token']}"
        return done

    async def put(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        return await self.http.put(API + path, json=body)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.http.delete(API + path)

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get(API + path)

    async def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        return await self.http.post(API + path, json=body)


async def paired_owner(world: World, device: str, name: str = "Ada") -> Owner:
    """Return somebody who is an owner of that doorbell."""
    owner = Owner(world, name)
    await owner.register()
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    credential_id = owner.passkey.key.credential_id
    await world.pairings.take_paired(
        device, Paired(pairing_id=pairing_id, credential_id=credential_id)
    )
    return owner


class Officer:
    """An officer at the agency's pages."""

    def __init__(self, world: World, name: str = "Officer Berg") -> None:
        self.world = world
        self.name = name
        self.passkey = SoftPasskey.create(rp_id="relay.test", origin=RELAY_URL)
        self.http = world.browser(RELAY_URL)
        self.officer_id = ""
        self.certificate: SignedCertificate | None = None

    async def register(self, invitation: str | None = None) -> httpx2.Response:
        body = {"invitation": invitation or await self.world.invite_officer(), "name": self.name}
        begun = (await self.http.post("/agency/register/options", json=body)).json()
        body = {"session": begun["session"], "credential": self.passkey.register(begun["options"])}
        done = await self.http.post("/agency/register/verify", json=body)
        self.officer_id = done.json()["officer"]["officer_id"]
        return done

    async def take_csrf(self) -> None:
        page = (await self.http.get("/agency")).text
        self.http.headers["X-CSRF"] = page.split('name="csrf" content="')[1].split('"')[0]

    def certify(self, **changes: Any) -> SignedCertificate:
        fields = {"officer_id": self.officer_id, "name": self.name, "passkey": self.passkey.key}
        return certify(
            self.world.agency_key,
            OfficerFile(**(fields | changes)),
            not_after_ms=self.world.clock.wall_ms() + 30 * DAY_MS,
        )

    async def get_certified(self) -> httpx2.Response:
        self.certificate = self.certify()
        return await self.http.post(
            f"/agency/officers/{self.officer_id}/certificate",
            content=self.certificate.encode(),
            headers={"Content-Type": "application/json"},
        )

    def write(self, **changes: Any) -> EvidenceRequest:
        """Write a request that keeps every rule, but for `changes`."""
        now_ms = self.world.clock.wall_ms()
        fields: dict[str, Any] = {
            "id": new_id(),
            "agency": "lakeland",
            "officer_id": self.officer_id,
            "officer_name": self.name,
            "contact": "+46 8 123 456",
            "case_number": "K-2026/17",
            "incident_type": "burglary",
            "text": "A bicycle was taken.",
            "cells": CELLS[:1],
            "from_ms": now_ms - 2 * HOUR_MS,
            "to_ms": now_ms - HOUR_MS,
            "retention_days": 90,
            "onward_sharing": "none",
            "created_ms": now_ms,
            "expires_ms": now_ms + 7 * DAY_MS,
        }
        return EvidenceRequest(**(fields | changes))

    def sign(self, request: EvidenceRequest, **changes: Any) -> SignedRequest:
        text = request.encode()
        fields: dict[str, Any] = {
            "request": text.decode(),
            "assertion": self.passkey.sign(challenge(REQUEST_TAG, text)),
            "officer": self.certificate,
        }
        return SignedRequest(**(fields | changes))

    async def publish(self, signed: SignedRequest) -> httpx2.Response:
        return await self.http.post(
            "/agency/requests",
            content=b'{"signed":' + signed.encode() + b"}",
            headers={"Content-Type": "application/json"},
        )


async def certified_officer(world: World, name: str = "Officer Berg") -> Officer:
    """Return an officer who may publish."""
    officer = Officer(world, name)
    await officer.register()
    await officer.get_certified()
    await officer.take_csrf()
    return officer
