"""People who hold real keys at a relay's HTTP side: owners with the app open, and officers."""

import json
from typing import Any

import httpx2

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Paired
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import (
    COSIGN_TAG,
    REQUEST_TAG,
    WITHDRAW_TAG,
    EvidenceRequest,
    OfficerRole,
    SignedCertificate,
    SignedWithdrawal,
    Withdrawal,
)
from relay.agency.keys import OfficerFile, certify
from relay.store import people
from relay.store.requests import Cosigned, Draft
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

    @property
    def keys(self) -> OwnerKeys:
        """Their public keys."""
        return OwnerKeys(name=self.name, passkey=self.passkey.key, browser=self.browser.keys)

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


async def account_of(world: World, owner: Owner) -> str:
    """Return the id of somebody's account."""
    async with world.database.read() as tx:
        known = await people.find_credential(tx, owner.passkey.key.credential_id)
    assert known is not None
    return known.account_id


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
    """An officer at the agency's pages; `partner` is who co-signs for them."""

    def __init__(
        self, world: World, name: str = "Officer Berg", *, agency: str = "lakeland"
    ) -> None:
        self.world = world
        self.name = name
        self.agency = agency
        self.passkey = SoftPasskey.create(rp_id="relay.test", origin=RELAY_URL)
        self.http = world.browser(RELAY_URL)
        self.officer_id = ""
        self.certificate: SignedCertificate | None = None
        self.partner: Officer | None = None

    async def register(self, invitation: str | None = None) -> httpx2.Response:
        invitation = invitation or await self.world.invite_officer(self.agency)
        body = {"invitation": invitation, "name": self.name}
        begun = (await self.http.post("/agency/register/options", json=body)).json()
        body = {"session": begun["session"], "credential": self.passkey.register(begun["options"])}
        done = await self.http.post("/agency/register/verify", json=body)
        self.officer_id = done.json()["officer"]["officer_id"]
        return done

    async def log_in(self) -> httpx2.Response:
        begun = (await self.http.post("/agency/login/options", json={})).json()
        body = {"session": begun["session"], "credential": self.passkey.log_in(begun["options"])}
        return await self.http.post("/agency/login/verify", json=body)

    async def take_csrf(self) -> None:
        page = (await self.http.get("/agency")).text
        self.http.headers["X-CSRF"] = page.split('name="csrf" content="')[1].split('"')[0]

    def certify(
        self, *, role: OfficerRole = "officer", days: int = 30, **changes: Any
    ) -> SignedCertificate:
        fields = {"officer_id": self.officer_id, "name": self.name, "passkey": self.passkey.key}
        return certify(
            self.world.town.keys[self.agency].key,
            OfficerFile(**(fields | changes)),
            not_after_ms=self.world.clock.wall_ms() + days * DAY_MS,
            role=role,
        )

    async def get_certified(self, *, role: OfficerRole = "officer") -> httpx2.Response:
        self.certificate = self.certify(role=role)
        return await self.http.post(
            f"/agency/officers/{self.officer_id}/certificate",
            content=self.certificate.encode(),
            headers={"Content-Type": "application/json"},
        )

    def write(self, **changes: Any) -> EvidenceRequest:
        """Write a request that keeps every rule, but for `changes`; the partner is to co-sign."""
        now_ms = self.world.clock.wall_ms()
        partner = self.partner or self
        fields: dict[str, Any] = {
            "id": new_id(),
            "agency": self.agency,
            "officer_id": self.officer_id,
            "officer_name": self.name,
            "cosigner_id": partner.officer_id,
            "cosigner_name": partner.name,
            "contact": "desk@lakeland.example",
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

    def sign(self, request: EvidenceRequest, **changes: Any) -> Draft:
        """Sign what was written as the one who drafts it."""
        text = request.encode()
        fields: dict[str, Any] = {
            "request": text.decode(),
            "assertion": self.passkey.sign(challenge(REQUEST_TAG, text)),
            "officer": self.certificate,
        }
        return Draft(**(fields | changes))

    def cosigned(self, draft: Draft, **changes: Any) -> Cosigned:
        """Sign what a colleague drafted."""
        fields: dict[str, Any] = {
            "cosignature": self.passkey.sign(challenge(COSIGN_TAG, draft.request.encode())),
            "cosigner": self.certificate,
        }
        return Cosigned(**(fields | changes))

    async def hand_in(self, draft: Draft) -> httpx2.Response:
        """Put a draft on the desk."""
        return await self._post("/agency/requests", b'{"draft":' + draft.encode() + b"}")

    async def cosign(self, draft: Draft, **changes: Any) -> httpx2.Response:
        """Co-sign a colleague's draft."""
        request_id = id_of(draft)
        cosigned = self.cosigned(draft, **changes).encode()
        return await self._post(
            f"/agency/requests/{request_id}/cosign", b'{"cosigned":' + cosigned + b"}"
        )

    async def take_back(self, request_id: str) -> httpx2.Response:
        return await self._post(f"/agency/requests/{request_id}/take-back", b"{}")

    async def withdraw(
        self, request: EvidenceRequest, *, at: str | None = None, **changes: Any
    ) -> httpx2.Response:
        """Withdraw a published request, signed; `at` the page of another one."""
        fields: dict[str, Any] = {
            "request_digest": request.digest(),
            "agency": self.agency,
            "officer_id": self.officer_id,
        }
        text = Withdrawal(**(fields | changes)).encode()
        assert self.certificate is not None
        signed = SignedWithdrawal(
            withdrawal=text.decode(),
            assertion=self.passkey.sign(challenge(WITHDRAW_TAG, text)),
            officer=self.certificate,
        )
        return await self._post(
            f"/agency/requests/{at or request.id}/withdraw", b'{"signed":' + signed.encode() + b"}"
        )

    async def publish(self, draft: Draft) -> httpx2.Response:
        """Bring a draft all the way into the register; return the first answer that refuses it.

        The partner co-signs, a moderator passes it, and the batch ends.
        """
        answer = await self.hand_in(draft)
        if not answer.is_success:
            return answer
        assert self.partner is not None
        cosigned = await self.partner.cosign(draft)
        if not cosigned.is_success:
            return cosigned
        await self.world.moderation.pass_on(id_of(draft))
        await self.world.publishing.publish_due()
        return answer

    async def _post(self, path: str, content: bytes) -> httpx2.Response:
        headers = {"Content-Type": "application/json"}
        return await self.http.post(path, content=content, headers=headers)


def id_of(draft: Draft) -> str:
    """Return the id of a drafted request."""
    return str(json.loads(draft.request)["id"])


async def certified_officer(world: World, name: str = "Officer Berg") -> Officer:
    """Return an officer who may sign, with a colleague who co-signs and may approve emergencies."""
    officer, partner = Officer(world, name), Officer(world, "Officer Dahl")
    for one, role in ((officer, "officer"), (partner, "approver")):
        await one.register()
        await one.get_certified(role=role)  # type: ignore[arg-type]
        await one.take_csrf()
    officer.partner, partner.partner = partner, officer
    return officer


async def officer_elsewhere(world: World) -> Officer:
    """Return an officer of another agency, elsewhere, who is signed in and certified there."""
    await world.town.agree(
        "elsewhere", "Elsewhere Police", cells=CELLS[1:], begins_ms=world.clock.wall_ms()
    )
    officer = Officer(world, "Officer Crow", agency="elsewhere")
    await officer.register()
    await officer.get_certified()
    await officer.take_csrf()
    return officer
