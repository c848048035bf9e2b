"""Everybody who may stand at a relay's door, each with a session, and things of a few of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import httpx2
from sqlalchemy import select, update

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Note, Pressed
from firmware.protocol.register.entries import OfficerRevoked
from firmware.protocol.requests import OfficerRole
from relay.config.settings import LimitsConfig
from relay.store.reads import suspend_account
from relay.store.schema import accounts, sessions
from tests.attacks.test_nobody_reaches_anothers_things import deliver, pair
from tests.relay.admin_people import Admin, signed_in_admin
from tests.relay.event_pictures import picture_of, sealed_for
from tests.relay.feed_people import DISTRICT, jpeg_of, upload, waiting_post
from tests.relay.http_people import Officer, Owner, certified_officer
from tests.relay.http_world import API, CELLS, OWNER_ORIGIN, RELAY_URL, World, open_world
from tests.relay.onboarding_people import Applicant

Who = Literal[
    "nobody",
    "owner",
    "other_owner",
    "suspended_owner",
    "expired_owner",
    "officer",
    "approver",
    "records",
    "agency_admin",
    "newcomer",
    "revoked",
    "suspended_officer",
    "expired_officer",
    "elsewhere",
    "elsewhere_records",
    "elsewhere_admin",
    "admin",
    "suspended_admin",
    "expired_admin",
]
"""elsewhere…: at another agency."""
EVERYBODY: Final[tuple[Who, ...]] = get_args(Who)
FACTOR = 1000
"""Allowances are multiplied by it: what is tried here isn't how often one may ask."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody's session, shown to every face in that face's own way."""

    world: World
    token: str = ""
    csrf: str = ""
    browsers: dict[str, httpx2.AsyncClient] = field(default_factory=dict)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        form: dict[str, Any] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        """Ask as the pages do, with a body of JSON or a plain form."""
        origin = OWNER_ORIGIN if path.startswith(API) else RELAY_URL
        headers = {"X-CSRF": self.csrf, "Accept": "application/json"} if self.csrf else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
            headers["Cookie"] = f"dw_agency={self.token}; dw_admin={self.token}"
        data = None if form is None else {"csrf": self.csrf, **form}
        headers |= more.pop("headers", {})
        http = self.browsers.get(origin) or self.world.browser(origin)
        self.browsers[origin] = http
        http.cookies.clear()
        return await http.request(method, path, json=body, data=data, headers=headers, **more)


@dataclass(kw_only=True)
class Everybody:
    """A relay with all of them; `ids` name what is lakeland's, the owner's and the officer's."""

    world: World
    officer: Officer
    people: dict[Who, Person]
    ids: dict[str, str]
    bodies: dict[str, Any] = field(default_factory=dict)
    """What was really signed or prepared, by route: good bodies."""


@asynccontextmanager
async def open_everybody(folder: Path) -> AsyncIterator[Everybody]:
    """Open a relay with everybody in it."""
    limits = LimitsConfig(factor=FACTOR)
    async with open_world(folder, limits_config=limits) as world:
        yield await _fill(world)


async def _fill(world: World) -> Everybody:
    owners = {name: Owner(world, name) for name in ("Ada", "Eve", "Sue", "Tom")}
    for owner in owners.values():
        await owner.register()
    ada = owners["Ada"]
    device, pairing_id = await pair(world, ada)
    await pair(world, owners["Eve"])
    officer, everybody = await _officers(world)
    admins = {name: await signed_in_admin(world, name) for name in ("Mia", "Ned", "Ola")}
    people: dict[Who, Person] = {"nobody": Person(world=world)}
    owner_names: dict[str, Who] = {
        "Ada": "owner",
        "Eve": "other_owner",
        "Sue": "suspended_owner",
        "Tom": "expired_owner",
    }
    for name, who in owner_names.items():
        people[who] = _owner(world, owners[name])
    for officer_who, one in everybody.items():
        people[officer_who] = _officer(world, one)
    admin_names: dict[str, Who] = {
        "Mia": "admin",
        "Ned": "suspended_admin",
        "Ola": "expired_admin",
    }
    for name, who in admin_names.items():
        people[who] = _admin(world, admins[name])
    await _shut_out(world, everybody)
    found = Everybody(world=world, officer=officer, people=people, ids={})
    found.ids = await _ids_of_owner(world, ada, device, pairing_id)
    await _things_of_lakeland(found, device)
    return found


async def _officers(world: World) -> tuple[Officer, dict[Who, Officer]]:
    """Return the officer whose things are asked for, and everybody of an agency."""
    officer = await certified_officer(world)
    assert officer.partner is not None
    await world.town.agree(
        "elsewhere", "Elsewhere Police", cells=CELLS[1:], begins_ms=world.clock.wall_ms()
    )
    found: dict[Who, Officer] = {"officer": officer, "approver": officer.partner}
    roles: dict[Who, OfficerRole | None] = {
        "records": "records",
        "agency_admin": "admin",
        "newcomer": None,
        "revoked": "officer",
        "suspended_officer": "officer",
        "expired_officer": "officer",
        "elsewhere": "officer",
        "elsewhere_records": "records",
        "elsewhere_admin": "admin",
    }
    for who, role in roles.items():
        agency = "elsewhere" if who.startswith("elsewhere") else "lakeland"
        one = Officer(world, f"Officer {who}", agency=agency)
        await one.register()
        if role is not None:
            await one.get_certified(role=role)
        await one.take_csrf()
        found[who] = one
    return officer, found


async def _shut_out(world: World, officers: dict[Who, Officer]) -> None:
    """Revoke, suspend, and let sessions run out; the sessions themselves stay where they are."""
    revoked = OfficerRevoked(agency="lakeland", officer_id=officers["revoked"].officer_id)
    await world.town.change(revoked)
    now_ms = world.clock.wall_ms()
    async with world.database.begin() as tx:
        for account in (await tx.execute(select(accounts))).all():
            if account.name in ("Sue", "Ned", "Officer suspended_officer"):
                await suspend_account(tx, account.id, now_ms)
            if account.name in ("Tom", "Ola", "Officer expired_officer"):
                is_theirs = sessions.c.account_id == account.id
                await tx.execute(update(sessions).where(is_theirs).values(expires_ms=now_ms - 1))


async def _ids_of_owner(world: World, ada: Owner, device: str, pairing_id: str) -> dict[str, str]:
    pressed = await world.tell(device, Pressed())
    credential_id = ada.passkey.key.credential_id
    await world.tell(device, Note(credential_id=credential_id, browser="a" * 20, sealed="eA"))
    await picture_of(world, device, pressed.id, sealed_for(ada.browser.keys))
    await ada.put("/feed/membership", {"district": DISTRICT})
    pictures = [(await upload(ada, jpeg_of())).json()["id"]]
    browser = ada.browser.keys.id
    await ada.put(f"/push/{browser}", {"endpoint": "https://push.test/ada"})
    sent = await ada.post(f"/doorbells/{device}/statements", {"sealed": "eA"})
    await ada.log_in()  # the other session stays the one that asks
    own_sessions = (await ada.get("/sessions")).json()["sessions"]
    return {
        "device": device,
        "pairing_id": pairing_id,
        "event_id": pressed.id,
        "browser": browser,
        "district": DISTRICT,
        "post_id": await waiting_post(ada, pictures=pictures),
        "picture_id": pictures[0],
        "command_id": sent.json()["command_id"],
        "session_id": next(one["id"] for one in own_sessions if one["is_this"]),
    }


async def _things_of_lakeland(everybody: Everybody, device: str) -> None:
    """Add a request, its evidence, a draft, a colleague, and an agency that wants to take part."""
    world, officer = everybody.world, everybody.officer
    draft = officer.sign(officer.write())
    request_id = (await officer.publish(draft)).json()["id"]
    draft_id = new_id()
    saved = await everybody.people["officer"].ask(
        "POST", "/agency/drafts", body={"id": draft_id, "form": {"text": "A bicycle."}}
    )
    assert saved.is_success, saved.text
    kept = await everybody.people["officer"].ask(
        "POST",
        "/agency/presets",
        body={"name": "Bicycle", "content": {"kind": "template", "text": "A bicycle."}},
    )
    assert kept.is_success, kept.text
    spare = Officer(world, "Officer Spare")
    await spare.register()
    applicant = await Applicant(world).enrolled()
    everybody.ids |= {
        "request_id": request_id,
        "package_id": await deliver(world, device, request_id),
        "draft_id": draft_id,
        "preset_id": kept.json()["id"],
        "officer_id": spare.officer_id,
        "account_id": spare.officer_id,
        "agency_id": "lakeland",
        "sha256": world.agency.text_sha256,
        "onboarding_id": applicant.id,
    }


def _owner(world: World, owner: Owner) -> Person:
    return Person(world=world, token=owner.http.headers["Authorization"].split()[1])


def _officer(world: World, officer: Officer) -> Person:
    token = officer.http.cookies["dw_agency"]
    return Person(world=world, token=token, csrf=officer.http.headers["X-CSRF"])


def _admin(world: World, admin: Admin) -> Person:
    return Person(world=world, token=admin.http.cookies["dw_admin"], csrf=admin.csrf)
