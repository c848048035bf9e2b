"""Every route of the relay: closed without a session, empty with somebody else's.

The routes come from the apps' own tables: a new one is tried without anybody adding it here, and
fails until it is closed or stands on the list of public ones.
"""

import inspect
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from firmware.protocol.encoding import new_id
from firmware.protocol.events import (
    Note,
    PackageUploaded,
    PackageWithdrawn,
    Paired,
    Pressed,
)
from relay.evidence.chain import Chains
from relay.evidence.delivery import PackageRefused
from relay.store import people
from tests.fakes.sample_keys import SESSION_KEY, X25519_KEY
from tests.relay.event_pictures import picture_of, sealed_for
from tests.relay.evidence_packages import deliver_package
from tests.relay.feed_people import DISTRICT, waiting_post
from tests.relay.http_people import Officer, Owner, certified_officer, officer_elsewhere
from tests.relay.http_world import API, RELAY_URL, World, open_world

PUBLIC = {
    ("GET", "/"),
    ("GET", "/requests"),
    ("GET", "/requests/{request_id}"),
    # The public record (tests/attacks/test_the_public_record_gives_nobody_away.py).
    *(("GET", f"/{page}.{form}") for page in ("agencies", "entries") for form in ("csv", "json")),
    *(("GET", f"/requests.{form}") for form in ("csv", "json", "atom")),
    ("GET", "/agencies"),
    ("GET", "/agencies/{agency_id}"),
    ("GET", "/agencies/{agency_id}/cells.csv"),
    ("GET", "/agencies/{agency_id}/cells.geojson"),
    ("GET", "/agencies/{agency_id}/outline.svg"),
    ("GET", "/agencies/{agency_id}/record.json"),
    *(("GET", f"/agencies/{{agency_id}}/report/{{year}}{form}") for form in ("", ".json")),
    ("GET", "/agency/{agency_id}"),  # leads to the page above
    ("GET", "/entries"),
    ("GET", "/entries/{log}/{index}"),
    ("GET", "/entries/{log}/{index}/proof"),
    ("GET", "/passing-by"),
    *(("GET", f"/notices/{{notice_id}}{form}") for form in ("", ".json")),  # by a random id
    (
        "GET",
        "/theft-map",
    ),  # identical for everybody (tests/attacks/test_the_theft_map_tells_on_nobody.py)
    *(
        ("GET", f"/theft-map{which}.{form}")
        for which in ("", "/{month}", "/imported/{layer_id}")
        for form in ("json", "csv", "geojson")
    ),
    ("GET", "/theft-map/streets.pmtiles"),
    *(("GET", f"/credits{page}") for page in ("", "/ledger", "/ledger.csv", "/terms.json")),
    ("GET", "/credits/months/{month}.json"),
    *(("GET", f"/credits/recipients/{{name}}{form}") for form in ("", ".json")),
    ("GET", "/robots.txt"),
    ("GET", "/doorbell"),
    *(("GET", f"/transparency{form}") for form in ("", ".csv", ".json")),
    *(("GET", f"/trends{form}") for form in ("", ".csv", ".json")),
    *(("GET", f"/map{form}") for form in ("", ".csv", ".geojson", "/streets.pmtiles")),
    ("GET", "/transparency/policy"),
    ("GET", "/transparency/monitor-report.json"),
    *(("GET", f"/{probe}") for probe in ("healthz", "livez", "readyz")),
    ("GET", "/static"),
    ("POST", "/enrol"),  # the claim's secret authorises
    ("POST", "/renew"),  # the certificate's own key
    # The neighbours' feed, the same for everybody (test_the_feed_finds_no_home.py).
    *(("GET", f"{API}/feed/{what}") for what in ("districts", "posts", "pictures/{picture_id}")),
    *(("GET", f"/neighbours{what}") for what in ("", "/moderation", "/moderation.json")),
    *(("GET", f"/neighbours/{{district}}{form}") for form in ("", "/atom")),
    ("GET", f"{API}/openapi.json"),
    ("GET", f"{API}/config"),
    ("POST", f"{API}/owner/register/options"),  # an invitation authorises
    ("POST", f"{API}/owner/register/verify"),
    ("POST", f"{API}/owner/login/options"),
    ("POST", f"{API}/owner/login/verify"),
    ("GET", "/agency"),  # the page to sign in on
    ("GET", "/agency/join"),
    ("POST", "/agency/register/options"),
    ("POST", "/agency/register/verify"),
    ("POST", "/agency/login/options"),
    ("POST", "/agency/login/verify"),
    ("GET", "/agency/oidc/start"),  # the agency's own sign-in authorises
    ("GET", "/agency/oidc/callback"),
    ("POST", "/agency/officers/{officer_id}/certificate"),  # the agency's signature authorises
    ("POST", "/agency/officers/{officer_id}/revocation"),
    ("POST", "/agency/evidence/{package_id}/deletion-answer"),
    ("GET", "/agreements/{sha256}"),
    ("GET", "/admin"),  # the page to sign in on
    ("GET", "/admin/join"),
    ("POST", "/admin/register/options"),
    ("POST", "/admin/register/verify"),
    ("POST", "/admin/login/options"),
    ("POST", "/admin/login/verify"),
    ("GET", "/for-agencies"),  # by an official address, and a code that is sent there
    ("GET", "/for-agencies/{onboarding_id}"),
    *(
        ("GET", f"/for-agencies/{{onboarding_id}}/{one}")
        for one in ("area.geojson", "outline.svg", "area", "area/places", "area/streets.pmtiles")
    ),
    ("POST", "/for-agencies"),
    *(
        ("POST", f"/for-agencies/{{onboarding_id}}/{step}")
        for step in ("code", "code/again", "area", "enrolment")
    ),
    ("GET", "/agreements/compare"),
    ("GET", "/town"),  # an invented town's clock (test_a_wound_clock_is_an_examples_alone.py)
    ("POST", "/town"),
}
FOR_EVERY_OWNER = {
    ("GET", f"{API}/requests/{{request_id}}"),  # published requests are public
    # Whose browser it is doesn't count: they are the caller's own subscriptions
    # (tests/attacks/test_pushes_go_nowhere_inside.py).
    ("PUT", f"{API}/push/{{browser}}"),
    ("DELETE", f"{API}/push/{{browser}}"),
    ("PUT", f"{API}/session/browser/{{browser}}"),
    ("DELETE", f"{API}/browsers/{{browser}}"),  # the caller's own sessions in it
    # The caller's own report, or none: answered alike (tests/relay/test_theft_map.py).
    ("DELETE", f"{API}/theft-reports/{{month}}/{{cell}}"),
    ("PUT", f"{API}/feed/membership"),  # the caller's own choice
    ("PUT", f"{API}/account/events"),
    ("PUT", f"{API}/feed/following"),
    ("POST", f"{API}/feed/pictures"),  # for a post of the caller's own
    ("POST", f"{API}/account/deletion/options"),  # the caller's own; it deletes nothing yet
    # The form is looked at for whoever sends it (tests/relay/test_request_form.py).
    ("POST", "/agency/requests/new"),
    # One's own ways to sign in (tests/attacks/test_nobody_links_anothers_sign_in.py).
    *(("POST", f"/agency/oidc/link/{step}") for step in ("options", "verify", "confirm", "end")),
    *(("POST", f"/agency/oidc/merge/{step}") for step in ("options", "verify", "confirm")),
}
ENDLESS = {("GET", f"{API}/stream")}  # who hears what is tried in tests/relay/test_api.py
OWN_SESSION = ("/session", "/sessions", "/sessions/end", "/logout")
"""What ends the caller's own sessions; tests/relay/test_sessions.py tries it with others'."""
SIGNED = {"text": "{}", "signature": "c2lnbmF0dXJl"}
Named = tuple[str, str]


def routes_of(app: Any, prefix: str = "") -> Iterator[Named]:
    """Yield method and path of every route below `app`, through whatever wraps it."""
    app = getattr(app, "original_router", app)  # how FastAPI holds an included router
    if isinstance(app, Mount):
        if isinstance(app.app, StaticFiles):
            yield ("GET", prefix + app.path)
        else:
            yield from routes_of(app.app, prefix + app.path)
    elif isinstance(app, Route):
        for method in (app.methods or set()) - {"HEAD"}:
            yield (method, prefix + app.path)
    elif hasattr(app, "routes"):
        for route in app.routes:
            yield from routes_of(route, prefix)
    else:  # a middleware: what it wraps is in its attributes
        for inner in [*vars(app).values(), *dict(getattr(app, "_faces", {})).values()]:
            if callable(inner) and not inspect.isroutine(inner):
                yield from routes_of(inner, prefix)


@dataclass
class Case:
    """A victim owner, a victim officer with evidence, and their like from elsewhere."""

    world: World
    ada: Owner
    officer: Officer
    ids: dict[str, str]
    eve: Owner
    crow: Officer

    @property
    def routes(self) -> list[Named]:
        return sorted(set(routes_of(self.world.app)))

    async def ask(
        self, http: httpx2.AsyncClient, route: Named, ids: dict[str, str]
    ) -> httpx2.Response:
        method, path = route
        body = self._bodies(path) if method in ("POST", "PUT") else None
        query = {"browser": ids["browser"]} if path.endswith("/thumbnails/{event_id}") else {}
        place = path.format_map(defaultdict(new_id, ids))  # of the rest there is nobody's
        answer = await http.request(method, place, json=body, params=query)
        if answer.status_code == 415:  # it is a plain form's
            answer = await http.request(method, place, data={"text": "x"}, params=query)
        return answer

    def _bodies(self, path: str) -> dict[str, Any]:
        key = self.eve.passkey.key
        passkey = {name: getattr(key, name) for name in key.__struct_fields__}
        bodies: dict[str, dict[str, Any]] = {
            f"{API}/pairings": {"pairing_id": self.ids["pairing_id"]},
            f"{API}/join": {
                "pairing_id": self.ids["pairing_id"],
                "device": self.ids["device"],
                "owner": {
                    "name": "Eve",
                    "passkey": passkey,
                    "browser": self._browser(),
                },
            },
            f"{API}/doorbells/{{device}}/offer": {"session_id": new_id(), "signed": SIGNED},
            f"{API}/doorbells/{{device}}/sessions/{{session_id}}/candidates": {"signed": SIGNED},
            f"{API}/doorbells/{{device}}/orders": {"sealed": "AAAA"},
            f"{API}/doorbells/{{device}}/statements": {"sealed": "AAAA"},
            f"{API}/pairings/{{pairing_id}}/commitment": {"commitment": "ab" * 32},
            f"{API}/pairings/{{pairing_id}}/reveal": {"reveal": "{}"},
            f"{API}/push/{{browser}}": {"endpoint": "https://push.test/eve"},
        }
        return bodies.get(path, {})

    def _browser(self) -> dict[str, str]:
        return {"name": "Phone", "session_key": SESSION_KEY, "viewing_key": X25519_KEY}


async def pair(world: World, owner: Owner) -> tuple[str, str]:
    device, pairing_id = await world.enrol(), new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    paired = Paired(pairing_id=pairing_id, credential_id=owner.passkey.key.credential_id)
    await world.pairings.take_paired(device, paired)
    return device, pairing_id


async def deliver(world: World, device: str, request_id: str) -> str:
    return await deliver_package(world, request_id, device=device)


@pytest.fixture
async def case(tmp_path) -> AsyncIterator[Case]:
    async with open_world(tmp_path) as world:
        ada, eve = Owner(world, "Ada"), Owner(world, "Eve")
        await ada.register()
        await eve.register()
        await ada.put("/feed/membership", {"district": DISTRICT})
        device, pairing_id = await pair(world, ada)
        await pair(world, eve)
        officer = await certified_officer(world)
        request_id = (await officer.publish(officer.sign(officer.write()))).json()["id"]
        pressed = await world.tell(device, Pressed())
        credential_id = ada.passkey.key.credential_id
        note = await world.tell(
            device, Note(credential_id=credential_id, browser="a" * 20, sealed="eA")
        )
        await picture_of(world, device, pressed.id, sealed_for(ada.browser.keys))
        browser = ada.browser.keys.id
        await ada.put(f"/push/{browser}", {"endpoint": "https://push.test/ada"})
        sent = await ada.post(f"/doorbells/{device}/statements", {"sealed": "eA"})
        ids = {
            "device": device,
            "pairing_id": pairing_id,
            "event_id": pressed.id,
            "browser": browser,
            "note_id": note.id,
            "command_id": sent.json()["command_id"],
            "session_id": new_id(),
            "request_id": request_id,
            "package_id": await deliver(world, device, request_id),
            "officer_id": officer.officer_id,
            "post_id": await waiting_post(ada),
            "sha256": world.agency.text_sha256,
        }
        kept = {"name": "Bicycle", "content": {"kind": "template", "text": "A bicycle was taken."}}
        preset = await officer.http.post("/agency/presets", json=kept)
        ids["preset_id"] = preset.json()["id"]
        crow = await officer_elsewhere(world)
        yield Case(world, ada, officer, ids, eve, crow)


async def test_the_tables_hold_every_face(case):
    routes = set(case.routes)
    assert {("GET", f"{API}/events"), ("POST", "/agency/logout"), ("POST", "/enrol")} <= routes
    assert routes >= PUBLIC, f"public, but gone: {PUBLIC - routes}"
    assert len(routes) > 35


async def test_without_a_session_only_the_public_routes_answer(case):
    for route in case.routes:
        if route not in PUBLIC:
            is_page = route[1].startswith(("/agency", "/admin"))
            origin = RELAY_URL if is_page else case.eve.http.headers["Origin"]
            answer = await case.ask(case.world.browser(origin), route, case.ids)
            assert answer.status_code in (401, 403), (route, answer.status_code)


async def test_a_session_of_the_other_kind_opens_nothing(case):
    owner_at_agency = case.world.browser(RELAY_URL)
    token = case.ada.http.headers["Authorization"].split()[1]
    owner_at_agency.cookies.set("dw_agency", token, path="/agency")
    officer_at_api = case.world.browser()
    cookie = case.officer.http.cookies["dw_agency"]
    officer_at_api.headers["Authorization"] = f"Bearer {cookie}"
    for route in case.routes:
        if route in PUBLIC or route == ("DELETE", f"{API}/session"):
            continue
        if route[1].startswith("/admin"):
            continue  # tests/relay/test_admin_sign_in.py tries both there
        http = owner_at_agency if "/agency" in route[1] else officer_at_api
        answer = await case.ask(http, route, case.ids)
        assert answer.status_code in (401, 403), (route, answer.status_code)


async def test_somebody_elses_session_finds_nothing(case):
    """By id it isn't there; in lists nothing of the others' is named."""
    secrets = {name: value for name, value in case.ids.items() if name != "session_id"}
    for route in case.routes:
        method, path = route
        if route in PUBLIC | ENDLESS | FOR_EVERY_OWNER or path.endswith(OWN_SESSION):
            continue
        if path.startswith("/admin"):
            continue  # no administrator has anything of their own
        http = case.crow.http if "/agency" in path else case.eve.http
        answer = await case.ask(http, route, case.ids)
        if "{" in path:
            assert answer.status_code in (403, 404), (route, answer.status_code)
        elif method == "POST":
            assert answer.status_code in (403, 409, 422), (route, answer.status_code)
        if path != f"{API}/requests":
            leaked = [name for name, value in secrets.items() if value in answer.text]
            assert leaked == [], (route, leaked)


async def test_the_people_themselves_find_their_things(case):
    """Else the tests above would prove nothing."""
    for path in ("/events", "/packages", "/doorbells", f"/commands/{case.ids['command_id']}"):
        assert (await case.ada.get(path)).status_code == 200
    picture = f"/doorbells/{case.ids['device']}/thumbnails/{case.ids['event_id']}"
    answer = await case.ada.get(f"{picture}?browser={case.ids['browser']}")
    assert (answer.status_code, answer.json()["key"]["browser"]) == (200, case.ids["browser"])
    assert case.ids["event_id"] in (await case.ada.get("/events")).text
    assert case.ids["package_id"] in (await case.ada.get("/packages")).text
    for path in ("requests", "evidence"):
        own_id = case.ids["request_id" if path == "requests" else "package_id"]
        page = await case.officer.http.get(f"/agency/{path}/{own_id}")
        assert page.status_code == 200


async def test_each_step_to_a_package_asks_by_itself_whose_it_is(case):
    """A page passes several of them, so it stays closed while one is left. Seen to fail, each line
    with its own check of the agency, owner or doorbell taken out.
    """
    world, package_id = case.world, case.ids["package_id"]
    delivery, chains = world.delivery, Chains(world.database, world.clock)
    async with world.database.read() as tx:
        berg = await people.find_account(tx, case.officer.officer_id)
        crow = await people.find_account(tx, case.crow.officer_id)
        eve_key = await people.find_credential(tx, case.eve.passkey.key.credential_id)
        eve = await people.find_account(tx, eve_key.account_id)
    assert await delivery.find_for_agency("lakeland", package_id) is not None
    assert await delivery.find_for_agency("elsewhere", package_id) is None
    assert len(await delivery.list_for_agency("lakeland")) == 1
    assert await delivery.list_for_agency("elsewhere") == []
    assert await delivery.list_for_owner(eve) == []
    every = {"batch_ms": 1, "is_shown": True}
    assert await chains.find("lakeland", package_id, **every) is not None
    assert await chains.find("elsewhere", package_id, **every) is None
    assert await delivery.download(crow, package_id) is None
    assert await delivery.download(berg, package_id) is not None
    assert list(await chains.list_downloaded("lakeland")) == [package_id]
    assert await chains.list_downloaded("elsewhere") == {}
    other = await world.enrol()
    with pytest.raises(PackageRefused):
        await delivery.take_withdrawn(other, PackageWithdrawn(package_id=package_id))
    with pytest.raises(PackageRefused):
        await delivery.take_uploaded(other, PackageUploaded(package_id=package_id, parts=[]))


async def test_what_a_stranger_tried_changed_nothing(case):
    before = [len(await case.world.told(case.ids["device"]))]
    for route in case.routes:
        if route not in PUBLIC | ENDLESS and not route[1].endswith(OWN_SESSION):
            http = case.crow.http if "/agency" in route[1] else case.eve.http
            await case.ask(http, route, case.ids)
    assert [len(await case.world.told(case.ids["device"]))] == before
    pairing = await case.ada.get(f"/pairings/{case.ids['pairing_id']}")
    assert (pairing.status_code, pairing.json()["state"]) == (200, "paired")
    assert (await case.ada.get("/joins")).json() == {"joins": []}
