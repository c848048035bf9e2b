"""A relay on which everything has happened, some of it a thousand times; and an empty one.

What can be done by real people is; what would take minutes of signing is put where it is kept.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h3
import msgspec
from msgspec.structs import replace

from firmware.protocol.door_notices import MAX_OUTLINES
from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.events import PackageWithdrawn
from firmware.protocol.register.entries import Limits, OfficerRevoked
from firmware.protocol.register.records import RequestRecord
from firmware.protocol.requests import EvidenceRequest
from relay.base.months import month_of, shifted
from relay.config.settings import LimitsConfig, OidcConfig
from relay.credit.bookings import Bookings
from relay.credit.distribution import Distribution
from relay.credit.recipients import Recipient, RecipientList
from relay.evidence.sweeper import PackageSweeper
from relay.heatmap.calendar import due_ms
from relay.heatmap.imports import Imports
from relay.heatmap.publication import edition_of
from relay.people.sessions import open_session
from relay.request.drafts import DraftForm
from relay.store import (
    credit,
    custody,
    feed,
    heatmap,
    oidc,
    onboardings,
    packages,
    people,
    reads,
    requests,
)
from relay.store.custody import Deletion
from relay.store.heatmap import OpenMonth
from relay.store.people import Account
from tests.fakes.door_notices import MASK, NoticeWriter
from tests.fakes.sequenced_entries import place_entries
from tests.fakes.town_clock import WoundManualClock
from tests.flows.every_page import ADMIN, GUEST, House
from tests.relay.admin_people import Admin, signed_in_admin, waiting_request
from tests.relay.agency_feed import MAPS, FeedOfficer
from tests.relay.credit_people import CODE, campaign
from tests.relay.door_notices import take_in
from tests.relay.evidence_packages import deliver_package
from tests.relay.feed_people import (
    DISTRICT,
    member,
    photo,
    stored_post,
    upload,
    waiting_post,
)
from tests.relay.http_people import Officer, id_of, paired_owner
from tests.relay.http_world import CELLS, DAY_MS, RELAY_URL, World, open_world
from tests.relay.onboarding_people import TEXT, Applicant, hand_in, prepare
from tests.relay.record_world import fill
from tests.relay.register_town import NAME
from tests.relay.theft_map import PLACES

MANY = 1000
WANTED_BACK = 100
"""Of the many packages: more than one signature answers."""
ISSUER = "https://login.lakeland.example"
"""Where nobody answers: the sign-in of the agency's own."""
LONG_TEXT = "A bicycle was taken from the yard behind the school, and somebody saw a van. " * 8
LONG_NAME = "Polismyndighetens regionledningskansli, utredningsenheten Öst"
AREA = sorted(h3.grid_disk(CELLS[0], 5))
AGENCY_ADMIN = "agency administrator"
JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def empty_house(folder: Path) -> AsyncIterator[House]:
    """Open a relay on its first day: an agency takes part, and nobody asked for anything."""
    async with _world(folder) as world:
        house = House(world, {GUEST: world.browser(RELAY_URL)})
        for who in ("approver", AGENCY_ADMIN):
            await _join(house, who)
        house.people[ADMIN] = (await signed_in_admin(world)).http
        yield house


@asynccontextmanager
async def full_house(folder: Path) -> AsyncIterator[House]:
    """Open a relay with something on every page."""
    async with _world(folder) as world:
        house = House(world, {GUEST: world.browser(RELAY_URL)})
        officer, asked = await fill(world)
        assert officer.partner is not None
        house.people |= {"officer": officer.http, "approver": officer.partner.http}
        mia, bo = [await signed_in_admin(world, name) for name in ("Mia Sund", "Bo Ek")]
        house.people[ADMIN] = bo.http
        for who in ("records", AGENCY_ADMIN, "newcomer", "revoked"):
            await _join(house, who)
        await _come_by_oidc(house)
        await _ask(house, officer, mia)
        await _deliver(house, officer, asked[0])
        await _onboard(house, bo)
        await _give_doorbells_away(house)
        await _write_to_neighbours(house, mia)
        await _inform(house)
        await _come_in_thousands(house, officer, asked[0])
        await _map_thefts(house, folder)
        house.ids |= {
            "agency_id": ["lakeland", "mapleton"],
            "log": ["register", "custody"],
            "index": ["0"],
            "year": [str(datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC).year)],
            "sha256": [sha256_hex(TEXT.encode())],
            "officer_id": [officer.officer_id],
            "request_id": [*[one.id for one in asked], *house.ids["request_id"]],
        }
        house.more += _addresses(house)
        yield house


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[World]:
    folder.mkdir(exist_ok=True)
    clock = WoundManualClock(folder / "town-clock.json", log=NAME)
    clock.machine.set_wall_ms(time.time_ns() // 1_000_000)
    limits = LimitsConfig(factor=1000)
    rules = Limits(area_quiet_ms=0)
    secret = folder / "oidc.secret"
    secret.write_text("a secret of nobody's\n")
    provider = OidcConfig(
        agency="lakeland", issuer=ISSUER, client_id="doorward", client_secret_path=secret
    )
    async with open_world(
        folder, clock=clock, limits=rules, limits_config=limits, oidc=(provider,), maps=MAPS
    ) as world:
        begins_ms = clock.wall_ms()
        await world.town.agree("lakeland", "Lakeland Police", cells=AREA, begins_ms=begins_ms)
        yield world


async def _join(house: House, who: str) -> None:
    officer = Officer(house.world, f"Officer {who.title()}")
    await officer.register()
    if who == "revoked":
        await officer.get_certified()
        body = OfficerRevoked(agency="lakeland", officer_id=officer.officer_id)
        await house.world.town.change(body)
    elif who != "newcomer":
        role: Any = "admin" if who == AGENCY_ADMIN else who
        await officer.get_certified(role=role)
    await officer.take_csrf()
    house.people[who] = officer.http


async def _map_thefts(house: House, folder: Path) -> None:
    """Three published months of the theft map, and a layer that was imported."""
    world = house.world
    now_ms = world.clock.wall_ms()
    months = [shifted(month_of(now_ms), -back) for back in (4, 3, 2)]
    kept: dict[str, dict[str, int]] = {}
    async with world.database.begin() as tx:
        for number, month in enumerate(months):
            kept[month] = dict.fromkeys(PLACES[number::2], 5 + 6 * number)
            edition = edition_of(month, kept, published_ms=due_ms(month), is_example=True)
            body = edition.encode().decode()
            await heatmap.add_month(tx, OpenMonth(month=month, secret="c2VjcmV0"))
            await heatmap.close_month(tx, month, kept[month], body, published_ms=due_ms(month))
    data = folder / "open-data.csv"
    data.write_text("cell,month,count\n" + "".join(f"{cell},{months[0]},4\n" for cell in PLACES))
    imports = Imports(world.database, world.clock, is_example=True)
    layer = await imports.add(data, name=LONG_NAME, licence=LONG_NAME, least=3)
    house.ids["month"] += months
    house.ids |= {"layer_id": [layer.id]}
    house.more.append((GUEST, f"/theft-map?layer={layer.id}"))


async def _come_by_oidc(house: House) -> None:
    """Somebody whom their agency's own sign-in let in: they have no passkey yet."""
    account = Account(id="frost", role="officer", agency="lakeland", name="Officer Frost")
    async with house.world.database.begin() as tx:
        await people.add_account(tx, account, house.world.clock.wall_ms())
        await oidc.link(tx, ISSUER, account.id, account.id, house.world.clock.wall_ms())
        token = await open_session(tx, account, house.world.clock.wall_ms())
    house.people["without passkey"] = house.world.browser(RELAY_URL)
    house.people["without passkey"].cookies.set("dw_agency", token, path="/agency")
    house.more.append(("without passkey", "/agency/oidc/link"))


async def _ask(house: House, officer: Officer, moderator: Admin) -> None:
    """Drafts and requests in every state that a desk has them in."""
    world, ids = house.world, house.ids["request_id"]
    for case in ("K-WAITS", "K-GONE"):
        draft = officer.sign(officer.write(text=LONG_TEXT, case_number=case))
        await officer.hand_in(draft)
        ids.append(id_of(draft))
    await officer.take_back(ids[-1])
    for end in ("moderation", "passed", "refused", "appealed"):
        _, request_id = await waiting_request(world, officer, case_number=f"K-{end.upper()}")
        ids.append(request_id)
        decision = f"/requests/{request_id}/decision"
        if end == "passed":
            await moderator.send(decision, verdict="passed")
        elif end != "moderation":
            await moderator.send(decision, verdict="refused", category="assembly", reason=LONG_TEXT)
        if end == "appealed":
            text = {"csrf": officer.http.headers["X-CSRF"], "text": "It names a theft."}
            await officer.http.post(f"/agency/requests/{request_id}/appeal", data=text)
    form = DraftForm(case_number="K-DRAFT", text=LONG_TEXT, cells=CELLS[:1])
    body = {"id": new_id(), "form": form}
    await officer.http.post("/agency/drafts", content=msgspec.json.encode(body), headers=JSON)
    for content in ({"kind": "template", "text": LONG_TEXT}, {"kind": "area", "cells": CELLS[:1]}):
        kept = {"name": f"Lake Morton, {content['kind']}", "content": content}
        answer = await officer.http.post("/agency/presets", json=kept)
        house.ids["preset_id"].append(answer.json()["id"])


async def _deliver(house: House, officer: Officer, asked: EvidenceRequest) -> None:
    """Evidence that just arrived, that was fetched, and that its owner wants to be deleted."""
    world = house.world
    device = await world.enrol()
    owner = await paired_owner(world, device)
    await _put_up_notices(house, device)
    await deliver_package(world, asked.id)
    await deliver_package(world, asked.id, download_by=officer)
    wanted_back = await deliver_package(world, asked.id, device=device, download_by=officer)
    await world.delivery.take_withdrawn(device, PackageWithdrawn(package_id=wanted_back))
    sweeping = PackageSweeper(
        database=world.database, clock=world.clock, objects=world.bucket, delivery=world.delivery
    )
    await sweeping.sweep()
    await place_entries(world.database, world.clock)
    async with world.database.read() as tx:
        (found,) = await reads.search_people(tx, owner.name, limit=1)
        arrived = await packages.list_delivered(tx, "lakeland")
    house.ids["account_id"].append(found.id)
    house.ids["package_id"] += [one.package_id for one in arrived] + [wanted_back]


async def _put_up_notices(house: House, device: str) -> None:
    """Notices for passers-by: one with masks and a long contact, and one of a bare doorbell."""
    full, bare = NoticeWriter(), NoticeWriter()
    contact = "Åsa-Maria Öberg-Lindström, " + "ask.me@a-long-name-without-a-break.example.org " * 3
    long = {"contact": contact.strip(), "is_sound_recorded": True, "masks": [MASK] * MAX_OUTLINES}
    await take_in(house.world, device, lambda device: full.tell(device, **long))
    nothing = {"masks": [], "recorders": 0, "is_motion_recorded": False, "is_sound_live": False}
    other = await house.world.enrol()
    await take_in(house.world, other, lambda device: bare.tell(device, **nothing))
    house.ids["notice_id"] += [full.notice_id, bare.notice_id]


async def _write_to_neighbours(house: House, moderator: Admin) -> None:
    """Posts in every state, with pictures and long words, and a thousand published ones."""
    world, ids = house.world, house.ids
    moderation, now_ms = world.feed.moderation, world.clock.wall_ms()
    for number, end in enumerate(("waiting", "refused", "appealed", "published", "urgent")):
        author = await member(world, f"Neighbour {number}")
        pictures = [(await upload(author, photo())).json()["id"] for _ in range(number % 3 + 1)]
        post_id = await waiting_post(author, text=LONG_TEXT, pictures=pictures)
        if end in ("refused", "appealed"):
            form = {"reason": "other", "words": LONG_TEXT}
            await moderator.send(f"/feed/{post_id}/decision", verdict="refused", **form)
        elif end != "waiting":
            await moderation.publish(post_id, moderator="bo", is_urgent=end == "urgent")
        if end == "appealed":
            await author.post(f"/feed/posts/{post_id}/appeal", {"text": LONG_TEXT})
        ids["post_id"].append(post_id)
        ids["picture_id"] += pictures[:1]
    ids["district"] += [DISTRICT, "harbour"]
    async with world.database.begin() as tx:
        for number in range(MANY):
            await feed.add_post(tx, stored_post(number, now_ms))


async def _inform(house: House) -> None:
    """An agency's posts: published, refused, waiting, and one that says danger to life."""
    moderation = house.world.feed.moderation
    officer = await FeedOfficer.certified(house.world, LONG_NAME)
    for end in ("published", "refused", "waiting"):
        post = officer.write_post(text=f"Elm Street is closed: gas is leaking ({end}).")
        assert (await officer.hand_in_post(post)).is_success
        if end == "published":
            await moderation.publish(post.id, moderator="bo")
        elif end == "refused":
            await moderation.refuse(post.id, "other", words=LONG_TEXT, moderator="bo")
    danger = officer.write_post(is_danger=True)
    assert (await officer.hand_in_post(danger)).is_success
    house.people["feed approver"] = officer.approver.http
    house.more.append(("feed approver", "/agency/feed"))


async def _onboard(house: House, admin: Admin) -> None:
    """Agencies that just asked, that proved their address, and that are let in."""
    world = house.world
    asking, confirmed = [Applicant(world, agency=name) for name in ("oakdale", "pinewood")]
    for one in (asking, confirmed):
        await one.ask(name=LONG_NAME)
    await confirmed.confirm()
    enrolled = await Applicant(world, agency="cedarvale").enrolled()
    joined = await Applicant(world).enrolled()
    await hand_in(admin, joined, await prepare(admin, joined), *world.town.admins)
    renewing = await Applicant(world, agency="birchwood").enrolled()
    await prepare(admin, renewing)
    everybody = (joined, enrolled, renewing, confirmed, asking)
    house.ids["onboarding_id"] += [one.id for one in everybody]


async def _give_doorbells_away(house: House) -> None:
    """Credits: a long ledger over a closed month, and lists that are drawn and that aren't."""
    world = house.world
    partners = await campaign(world.database, world.clock, budget=MANY * 1000)
    await partners.endow()
    async with world.database.begin() as tx:
        for _ in range(MANY):
            await credit.add_due(tx, CODE, month_of(world.clock.wall_ms()))
    await Bookings(world.database, world.clock).post_due()
    distribution = Distribution(world.database, world.clock)
    numbers = [Recipient(number=number, points=number % 7) for number in range(1, MANY)]
    for name in ("spring", "autumn"):
        listed = RecipientList(
            name=name,
            partner="warm-homes",
            by="need",
            doorbells=20,
            need_en=LONG_TEXT,
            need_sv=LONG_TEXT,
            recipients=numbers,
        )
        await distribution.publish(listed)
        await place_entries(world.database, world.clock)
    for recipient in (await distribution.draw("spring"))[:3]:
        await distribution.issue("spring", recipient, lambda _: None)
    month = month_of(world.clock.wall_ms())
    async with world.database.begin() as tx:  # as if it were over
        await credit.close_month(tx, month, "ab" * 32)
    house.ids["month"].append(month)
    house.ids |= {"name": ["spring", "autumn"]}


async def _come_in_thousands(house: House, officer: Officer, asked: EvidenceRequest) -> None:
    """A thousand colleagues, agencies that ask, packages, and requests in the register."""
    world, now_ms = house.world, house.world.clock.wall_ms()
    device = await world.enrol()
    draft = officer.sign(officer.write())
    async with world.database.begin() as tx:
        for number in range(MANY):
            request = officer.write(case_number=f"D-{number}")
            mine = {"account_id": officer.officer_id, "digest": f"{number}", "now_ms": now_ms}
            await requests.add_draft(tx, draft, request, **mine)
            await requests.set_state(tx, request.id, "taken_back", now_ms)
            name = f"Officer {number:04}"
            account = Account(id=f"a{number}", role="officer", agency="lakeland", name=name)
            await people.add_account(tx, account, now_ms)
            fields = {"agency": f"agency-{number}", "name": f"Agency {number}"}
            await onboardings.add(
                tx, f"{number:026d}", email="chief@x.gov", now_ms=now_ms - number, **fields
            )
            package = packages.Package(
                package_id=new_id(),
                request_id=asked.id,
                device=device,
                agency="lakeland",
                size_bytes=1,
                part_bytes=1,
                part_sha256=("a" * 64,),
                upload_id=None,
                object_key=f"k{number}",
                state="delivered",
                at_ms=now_ms - 5 * DAY_MS - number,
                commitment=new_id(),
                announced_ms=now_ms - 6 * DAY_MS,
            )
            await packages.add_package(tx, package)
            if number < WANTED_BACK:
                wanted = Deletion(
                    package_id=package.package_id,
                    agency="lakeland",
                    asked_ms=now_ms - 20 * DAY_MS,
                    answer_by_ms=now_ms + (number - 3) * DAY_MS,
                    answer=None,
                )
                await custody.put_deletion(tx, wanted)
    view = await world.register.view()
    (record,) = [one for one in view.register.requests.values() if one.request.id == asked.id]
    written = officer.write(text=LONG_TEXT)
    for number in range(MANY):  # as the register would hold them
        request = replace(written, id=new_id(), case_number=f"C-{number}")
        view.register.requests[f"{number:064x}"] = RequestRecord(
            index=record.index, request=request, signed=record.signed, keeps_from=0
        )
        view.register._digests[request.id] = f"{number:064x}"


def _addresses(house: House) -> list[tuple[str, str]]:
    """Return what stands behind no route alone: other states of a page, and refusals."""
    return [
        *((who, "/agency") for who in house.people if who not in (GUEST, ADMIN)),
        (GUEST, "/agency/requests"),
        (AGENCY_ADMIN, "/agency/requests"),
        ("newcomer", "/agency/evidence"),
        ("revoked", "/agency/requests"),
        ("officer", "/agency/evidence?page=20"),
        ("officer", "/agency/evidence/deletions?page=2"),
        ("officer", "/agency/requests/nobodys"),
        (AGENCY_ADMIN, "/agency/staff?page=21"),
        ("officer", "/agency/requests?page=20"),
        (ADMIN, "/admin"),
        (ADMIN, "/admin/doorbells"),
        (ADMIN, "/admin/doorbells?view=cloned"),
        (ADMIN, "/admin/doorbells?q=nobodys"),
        (ADMIN, "/admin/accounts?q=Officer"),
        (ADMIN, "/admin/accounts?q=nobody+of+this+name"),
        (ADMIN, "/admin/onboardings?page=20"),
        (ADMIN, "/admin/requests/nobodys"),
        (GUEST, "/requests?page=20"),
        (GUEST, "/requests?case=nothing"),
        (GUEST, "/requests?from=never"),
        (GUEST, "/entries?kind=request"),
        (GUEST, "/entries?kind=credits"),
        (GUEST, "/credits/ledger?page=2"),
        (GUEST, "/agreements/compare?agency=lakeland"),
        (GUEST, "/no-such-page"),
        (GUEST, f"/notices/{new_id()}"),
        *((GUEST, f"/for-agencies/{one}") for one in house.ids["onboarding_id"]),
    ]
