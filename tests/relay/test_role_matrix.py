"""Every route of the relay × everybody × somebody else's things: who is let in, and who isn't.

What is expected stands here by itself, not taken from the code (relay/web/agency/access.py and so
on), and the routes come from the running app: a new one fails here until it says whose it is.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import h3
import httpx2
import msgspec
import pytest
from sqlalchemy import select

from firmware.protocol.encoding import new_id
from relay.base.months import month_of
from relay.store.schema import metadata
from tests.attacks.test_nobody_reaches_anothers_things import ENDLESS, PUBLIC, routes_of
from tests.relay.everybody import EVERYBODY, Everybody, Who, open_everybody
from tests.relay.feed_people import CELL, DISTRICT, FOLLOWING
from tests.relay.http_world import API, CELLS

Named = tuple[str, str]
Answer = Literal["open", 401, 403, 404]
Run = Callable[[Coroutine[Any, Any, Any]], Any]

WRITERS: Final[frozenset[Who]] = frozenset({"officer", "approver", "newcomer"})
READERS: Final[frozenset[Who]] = WRITERS | {"records"}
CERTIFIED: Final[frozenset[Who]] = frozenset({"officer", "approver", "records"})
ASKING: Final[frozenset[Who]] = frozenset({"officer", "approver"})
COLLEAGUES: Final[frozenset[Who]] = READERS | {"agency_admin"}
ANY_OFFICER: Final[frozenset[Who]] = COLLEAGUES | {"revoked"}
AGENCY_ADMIN: Final[frozenset[Who]] = frozenset({"agency_admin"})
ELSEWHERE: Final[dict[Who, Who]] = {
    "elsewhere": "officer",
    "elsewhere_records": "records",
    "elsewhere_admin": "agency_admin",
}
"""What people of the other agency are there."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who reaches a route, and whose the thing is that its path names."""

    face: Literal["api", "agency", "admin"]
    roles: frozenset[Who] = frozenset()
    thing: Literal["none", "agency's", "officer's", "owner's"] = "none"


OWNERS = Rule(face="api")
OWNERS_THING = Rule(face="api", thing="owner's")
ADMINS = Rule(face="admin")


def _of(roles: frozenset[Who], thing: Literal["none", "agency's", "officer's"] = "none") -> Rule:
    return Rule(face="agency", roles=roles, thing=thing)


DOORBELL = f"{API}/doorbells/{{device}}"
REQUEST = "/agency/requests/{request_id}"
PACKAGE = "/agency/evidence/{package_id}"
DELETIONS = "/agency/evidence/deletions"
CASE = "/admin/onboardings/{onboarding_id}"
EXPECTED: Final[dict[Named, Rule]] = {
    # The API: owners, and of what has an id its own owner.
    **dict.fromkeys(
        [
            *(
                ("GET", f"{API}/{what}")
                for what in (
                    *("sessions", "reads", "joins", "doorbells", "events", "notes", "stream"),
                    *("push", "requests", "packages", "account/deletion", "theft-reports"),
                    *(
                        "account/events",
                        "credits/sign-up",
                        "feed/membership",
                        "feed/mine",
                        "feed/following",
                    ),
                    "feed/export",
                )
            ),
            *(
                ("POST", f"{API}/{what}")
                for what in (
                    *("pairings", "join", "theft-reports", "credits/sign-up"),
                    *("feed/posts", "feed/pictures"),
                )
            ),
            ("DELETE", f"{API}/theft-reports/{{month}}/{{cell}}"),
            *(("POST", f"{API}/account/deletion{what}") for what in ("", "/options")),
            *(("DELETE", f"{API}/{what}") for what in ("session", "sessions", "push/{browser}")),
            ("PUT", f"{API}/push/{{browser}}"),
            ("PUT", f"{API}/account/events"),
            *(("PUT", f"{API}/feed/{what}") for what in ("membership", "following")),
            ("PUT", f"{API}/session/browser/{{browser}}"),
            ("DELETE", f"{API}/browsers/{{browser}}"),
        ],
        OWNERS,
    ),
    **dict.fromkeys(
        [
            ("DELETE", f"{API}/sessions/{{session_id}}"),
            ("GET", f"{API}/pairings/{{pairing_id}}"),
            ("DELETE", f"{API}/pairings/{{pairing_id}}"),
            ("POST", f"{API}/pairings/{{pairing_id}}/commitment"),
            ("POST", f"{API}/pairings/{{pairing_id}}/reveal"),
            ("GET", f"{API}/commands/{{command_id}}"),
            ("DELETE", f"{API}/feed/posts/{{post_id}}"),
            ("POST", f"{API}/feed/posts/{{post_id}}/appeal"),
            ("DELETE", DOORBELL),
            *(
                ("GET", f"{DOORBELL}/{what}")
                for what in ("owners", "ice", "viewers", "door-notice")
            ),
            *(("POST", f"{DOORBELL}/{what}") for what in ("nonce", "offer", "orders")),
            ("POST", f"{DOORBELL}/statements"),
            ("POST", f"{DOORBELL}/replacement"),
            ("POST", f"{DOORBELL}/invitations"),
            ("POST", f"{DOORBELL}/sessions/{{session_id}}/candidates"),
            ("DELETE", f"{DOORBELL}/sessions/{{session_id}}"),
            ("GET", f"{DOORBELL}/thumbnails/{{event_id}}"),
            ("PUT", f"{DOORBELL}/viewers/{{browser}}"),
            ("DELETE", f"{DOORBELL}/viewers/{{browser}}"),
        ],
        OWNERS_THING,
    ),
    # The agency's own pages.
    ("POST", "/agency/logout"): _of(ANY_OFFICER),
    ("GET", "/agency/sessions"): _of(ANY_OFFICER),
    ("POST", "/agency/sessions/end"): _of(ANY_OFFICER),
    ("GET", "/agency/reads"): _of(ANY_OFFICER),
    **dict.fromkeys(
        [
            ("GET", "/agency/passkey"),
            *(("POST", f"/agency/passkey/{step}") for step in ("options", "verify")),
        ],
        _of(frozenset({"newcomer"})),
    ),
    ("GET", "/agency/oidc/link"): _of(COLLEAGUES),
    **dict.fromkeys(
        [
            *(("POST", f"/agency/oidc/link/{step}") for step in ("confirm", "end")),
            ("POST", "/agency/oidc/merge/confirm"),
            *(
                ("POST", f"/agency/oidc/{what}/{step}")
                for what in ("link", "merge")
                for step in ("options", "verify")
            ),
        ],
        _of(COLLEAGUES),
    ),
    ("GET", "/agency/officer.json"): _of(COLLEAGUES),
    ("GET", "/agency/officers"): _of(COLLEAGUES),
    ("GET", "/agency/officers/{officer_id}"): _of(ANY_OFFICER, "officer's"),
    ("GET", "/agency/staff"): _of(AGENCY_ADMIN),
    ("POST", "/agency/staff/invitations"): _of(AGENCY_ADMIN),
    ("GET", "/agency/staff/{officer_id}"): _of(AGENCY_ADMIN, "agency's"),
    ("POST", "/agency/staff/{officer_id}/sessions/end"): _of(AGENCY_ADMIN, "agency's"),
    ("POST", "/agency/staff/{officer_id}/suspend"): _of(AGENCY_ADMIN, "agency's"),
    ("POST", "/agency/staff/{officer_id}/restore"): _of(AGENCY_ADMIN, "agency's"),
    ("GET", "/agency/settings"): _of(AGENCY_ADMIN),
    ("POST", "/agency/settings"): _of(AGENCY_ADMIN),
    ("GET", "/agency/requests"): _of(READERS),
    ("GET", REQUEST): _of(READERS, "agency's"),
    **dict.fromkeys(
        [
            ("POST", "/agency/requests"),
            ("POST", "/agency/requests/check"),
            *(("GET", f"/agency/{what}") for what in ("area", "places", "streets.pmtiles")),
            *((method, "/agency/drafts") for method in ("GET", "POST")),
            *((method, "/agency/requests/new") for method in ("GET", "POST")),
        ],
        _of(WRITERS),
    ),
    ("POST", "/agency/drafts/{draft_id}/delete"): _of(WRITERS, "officer's"),
    **dict.fromkeys([(method, "/agency/presets") for method in ("GET", "POST")], _of(ASKING)),
    **dict.fromkeys(
        [
            ("GET", "/agency/presets/{preset_id}"),
            *(("POST", f"/agency/presets/{{preset_id}}/{what}") for what in ("rename", "remove")),
        ],
        _of(ASKING, "agency's"),
    ),
    ("GET", f"{REQUEST}/renew"): _of(WRITERS, "agency's"),
    **dict.fromkeys(
        [
            *(("POST", f"{REQUEST}/{step}") for step in ("cosign", "take-back", "withdraw")),
            *(("POST", f"{REQUEST}/{step}") for step in ("appeal", "again")),
        ],
        _of(WRITERS, "agency's"),
    ),
    ("GET", "/agency/feed"): _of(CERTIFIED),
    ("POST", "/agency/feed"): _of(frozenset({"officer", "approver"})),
    ("POST", "/agency/feed/{post_id}/cosign"): _of(frozenset({"officer", "approver"})),
    ("GET", "/agency/evidence"): _of(CERTIFIED),
    ("GET", DELETIONS): _of(CERTIFIED),
    ("POST", DELETIONS): _of(CERTIFIED),
    ("GET", "/agency/outcomes"): _of(CERTIFIED),
    **dict.fromkeys(
        [
            ("GET", PACKAGE),
            *(("POST", f"{PACKAGE}/{what}") for what in ("download", "answer")),
            *((method, f"{REQUEST}/outcome") for method in ("GET", "POST")),
        ],
        _of(CERTIFIED, "agency's"),
    ),
    # The administrators' pages.
    **dict.fromkeys(
        [
            *(("POST", f"/admin/{what}") for what in ("logout", "sessions/end")),
            ("GET", "/admin/sessions"),
            *(
                ("GET", f"/admin/{what}")
                for what in (
                    "requests",
                    "decisions",
                    "agencies",
                    "doorbells",
                    "accounts",
                    "onboardings",
                )
            ),
            ("GET", "/admin/feed"),
            ("GET", "/admin/feed/{post_id}"),
            ("GET", "/admin/feed/pictures/{picture_id}"),
            *(("POST", f"/admin/feed/{{post_id}}/{one}") for one in ("decision", "appeal")),
            ("GET", "/admin/requests/{request_id}"),
            ("GET", "/admin/requests/{request_id}/area.geojson"),
            *(("POST", f"/admin/requests/{{request_id}}/{one}") for one in ("decision", "appeal")),
            ("GET", "/admin/agencies/{agency_id}"),
            ("GET", "/admin/accounts/{account_id}"),
            *(("POST", f"/admin/accounts/{{account_id}}/{one}") for one in ("suspend", "restore")),
            ("GET", CASE),
            *(("GET", f"{CASE}/{one}") for one in ("change.json", "outline.svg", "area.geojson")),
            *(("POST", f"{CASE}/{one}") for one in ("code", "refuse", "prepare", "signed")),
        ],
        ADMINS,
    ),
}
ASKS_A_DOORBELL: Final = {
    ("POST", f"{DOORBELL}/{what}")
    for what in ("nonce", "offer", "orders", "sessions/{session_id}/candidates")
}
"""Waits for the doorbell's word (tests/relay/test_live.py has one that answers)."""
SIGN_OUT: Final = ("DELETE", f"{API}/session")
"""Ends the session whose token is shown, of whatever kind: tried by itself."""
NOT_THERE: Final = {
    ("POST", "/agency/feed/{post_id}/cosign"),  # no post names them to co-sign it
    ("GET", "/agency/oidc/link"),  # nor has lakeland a sign-in of its own
    ("GET", "/agency/streets.pmtiles"),  # this relay's operator has named no file
    ("GET", f"{CASE}/change.json"),  # nobody has prepared it
    *(("GET", "/agency/passkey"), ("POST", "/agency/passkey/options")),  # they have one
    ("POST", "/agency/passkey/verify"),
    ("POST", "/agency/staff/{officer_id}/sessions/end"),  # the form names a session of theirs
}
"""Let in, and told that there is nothing."""
GOOD_FORMS: Final[dict[str, dict[str, str]]] = {
    "/agency/sessions/end": {"session": "others"},
    "/admin/sessions/end": {"session": "others"},
    "/agency/staff/invitations": {"email": "new@lakeland.example"},
    "/agency/staff/{officer_id}/sessions/end": {"session": "all"},
    "/agency/staff/{officer_id}/suspend": {"is_sure": "yes"},
    "/agency/staff/{officer_id}/restore": {},
    "/agency/settings": {"networks": "", "max_sessions": "5"},
    "/agency/drafts/{draft_id}/delete": {},
    "/agency/presets/{preset_id}/rename": {"name": "Bicycles"},
    "/agency/presets/{preset_id}/remove": {"is_sure": "yes"},
    "/agency/requests/new": {"action": "save", "text": "A bicycle."},
    f"{REQUEST}/appeal": {"text": "The street is named because the theft was there."},
    f"{REQUEST}/again": {},
    "/admin/requests/{request_id}/decision": {"verdict": "passed"},
    "/admin/requests/{request_id}/appeal": {"verdict": "upheld", "reason": "It is too wide."},
    "/admin/feed/{post_id}/decision": {"verdict": "published"},
    "/admin/feed/{post_id}/appeal": {"verdict": "upheld", "words": "It names no act."},
    "/admin/accounts/{account_id}/suspend": {"is_sure": "yes"},
    "/admin/accounts/{account_id}/restore": {},
    f"{CASE}/code": {},
    f"{CASE}/refuse": {"reason": "We know nobody there."},
    f"{CASE}/prepare": {},
}


class Matrix:
    """Asks, in one running relay."""

    def __init__(self, everybody: Everybody, run: Run) -> None:
        self.everybody = everybody
        self.run = run
        self.routes = sorted(set(routes_of(everybody.world.app)))
        self.good = self._good_bodies()

    def ask(
        self,
        who: Who,
        route: Named,
        *,
        is_theirs: bool = True,
        is_good: bool = True,
    ) -> httpx2.Response:
        """Ask for a thing that is there, or for one that isn't; with a good body or none."""
        method, path = route
        ids = self.everybody.ids if is_theirs else {}
        if is_theirs and path == "/agency/officers/{officer_id}":
            ids = {"officer_id": self.everybody.officer.officer_id}  # for each their own
        place = path.format_map(defaultdict(new_id, {"log": "register", "index": "0", **ids}))
        person = self.everybody.people[who]
        if path.endswith("/thumbnails/{event_id}"):
            place += f"?browser={self.everybody.ids['browser']}"
        if method in ("GET", "DELETE"):
            return self._run(person.ask(method, place))
        if path in GOOD_FORMS:
            return self._run(person.ask(method, place, form=GOOD_FORMS[path] if is_good else {}))
        body = self.good.get(path, {}) if is_good else {}
        return self._run(person.ask(method, place, body=body))

    def _run(self, asking: Coroutine[Any, Any, httpx2.Response]) -> httpx2.Response:
        answer: httpx2.Response = self.run(asking)
        return answer

    def stored(self) -> dict[str, list[Any]]:
        """Return every row of the database."""

        async def read() -> dict[str, list[Any]]:
            async with self.everybody.world.database.read() as tx:
                return {
                    name: sorted(map(repr, (await tx.execute(select(table))).all()))
                    for name, table in metadata.tables.items()
                }

        found: dict[str, list[Any]] = self.run(read())
        return found

    def _good_bodies(self) -> dict[str, Any]:
        """What an owner and an officer really would send, and did."""
        officer, ids = self.everybody.officer, self.everybody.ids
        signed = {"text": "{}", "signature": "c2lnbmF0dXJl"}
        draft = officer.sign(officer.write())
        return {
            f"{API}/pairings": {"pairing_id": new_id()},
            f"{API}/theft-reports": {
                "cell": h3.cell_to_parent(CELLS[0], 8),
                "month": month_of(self.everybody.world.clock.wall_ms()),
            },
            f"{API}/pairings/{{pairing_id}}/commitment": {"commitment": "ab" * 32},
            f"{API}/pairings/{{pairing_id}}/reveal": {"reveal": "{}"},
            f"{API}/push/{{browser}}": {"endpoint": "https://push.test/eve"},
            f"{API}/account/events": {"days": 90},
            f"{API}/feed/membership": {"district": DISTRICT},
            f"{API}/feed/following": FOLLOWING,
            f"{API}/feed/posts": {
                "kind": "hazard",
                "cell": CELL,
                "hour_ms": self.everybody.world.clock.wall_ms(),
                "text": "A hole in the street.",
            },
            f"{API}/feed/posts/{{post_id}}/appeal": {"text": "It names an act."},
            f"{DOORBELL}/statements": {"sealed": "eA"},
            f"{DOORBELL}/orders": {"sealed": "eA"},
            f"{DOORBELL}/offer": {"session_id": ids["session_id"], "signed": signed},
            f"{DOORBELL}/sessions/{{session_id}}/candidates": {"signed": signed},
            "/agency/requests": {"draft": msgspec.to_builtins(draft)},
            "/agency/requests/check": {"form": {"text": "A bicycle."}},
            "/agency/drafts": {"id": new_id(), "form": {"text": "A bicycle."}},
            "/agency/presets": {
                "name": new_id(),
                "content": {"kind": "template", "text": "A bicycle."},
            },
            f"{REQUEST}/cosign": {"cosigned": msgspec.to_builtins(officer.cosigned(draft))},
        }


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with asyncio.Runner() as runner:
        world = open_everybody(tmp_path_factory.mktemp("everybody"))
        yield Matrix(runner.run(world.__aenter__()), runner.run)
        runner.run(world.__aexit__(None, None, None))


def expected(rule: Rule, who: Who) -> Answer:
    """Return what somebody gets who asks for the owner's, the officer's or lakeland's thing."""
    if rule.face == "admin":
        return "open" if who == "admin" else 401
    if rule.face == "api":
        if who not in ("owner", "other_owner"):
            return 401
        return 404 if rule.thing == "owner's" and who == "other_owner" else "open"
    part = ELSEWHERE.get(who, who)
    if part not in ANY_OFFICER:
        return 401
    if part not in rule.roles:
        return 403
    if rule.thing == "officer's":
        return "open" if who == "officer" else 404
    return 404 if rule.thing == "agency's" and who in ELSEWHERE else "open"


def plain(answer: httpx2.Response, ids: dict[str, str]) -> str:
    """Return what somebody reads, without the id that they asked for and what each page draws."""
    text = answer.text
    for name in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(name, "ID")
    return re.sub(r"[a-z2-7]{26}", "ID", text)


def closed(matrix: Matrix) -> Iterator[tuple[Named, Who, Answer]]:
    for route in matrix.routes:
        if route in PUBLIC or route not in EXPECTED or route == SIGN_OUT:
            continue  # test_no_route_is_without_an_expectation tells
        for who in EVERYBODY:
            answer = expected(EXPECTED[route], who)
            if answer != "open":
                yield route, who, answer


def test_no_route_is_without_an_expectation(matrix):
    """And none is expected that is gone, or both public and closed."""
    routes = set(matrix.routes)
    assert routes - PUBLIC - set(EXPECTED) == set(), "say here who may use these routes"
    assert set(EXPECTED) - routes == set(), "these routes are gone"
    assert set(EXPECTED) & PUBLIC == set()


def test_nobody_else_is_let_in_and_nothing_is_changed(matrix):
    """A good body changes nothing about the refusal, and neither the refusal nor its words tell
    whether the thing is there.

    Seen to fail with `Desk.find_row` looking in every agency, with `Pairings.doorbells` returning
    everybody's, and with a rule of access.py opened to everybody.
    """
    before, wrong = matrix.stored(), list[Any]()
    for route, who, answer in closed(matrix):
        refused = matrix.ask(who, route)
        if refused.status_code != answer:
            wrong.append((route, who, answer, refused.status_code))
            continue
        others = []
        if "{" in route[1] and answer != 401:
            others.append(matrix.ask(who, route, is_theirs=False))
        if route[0] not in ("GET", "DELETE") and answer != 401:
            others.append(matrix.ask(who, route, is_good=False))
        words = plain(refused, matrix.everybody.ids)
        wrong += [
            (route, who, words[:200], other.status_code, other.text[:200])
            for other in others
            if (other.status_code, plain(other, matrix.everybody.ids)) != (answer, words)
        ]
    after = matrix.stored()
    assert wrong == []
    assert {name for name in before if before[name] != after[name]} == set()


def test_only_who_shows_a_token_signs_out(matrix):
    assert matrix.ask("nobody", SIGN_OUT).status_code == 401


def order(route: Named) -> tuple[int, str, str]:
    """Read first; end sessions and doorbells last."""
    method, path = route
    if method == "GET":
        return (0, path, method)
    if path.endswith(("/sessions", "/logout")) or path == DOORBELL:
        return (2, path, method)
    return (3 if route == SIGN_OUT else 1, path, method)


def test_who_is_expected_is_let_in(matrix):
    """Else the test above would prove nothing. After it: it ends sessions."""
    wrong = []
    for route in sorted(set(EXPECTED) - ENDLESS - ASKS_A_DOORBELL, key=order):
        for who in EVERYBODY:
            if expected(EXPECTED[route], who) != "open":
                continue
            named = ("/agency/sessions/end", "/admin/sessions/end", f"{API}/push/{{browser}}")
            is_good = route[1] in named
            answer = matrix.ask(who, route, is_good=is_good)
            is_refused = answer.status_code in (401, 403)
            is_missing = answer.status_code == 404 and route not in NOT_THERE
            if is_refused or is_missing or answer.status_code >= 500:
                wrong.append((route, who, answer.status_code, answer.text[:100]))
    assert wrong == []


def test_every_public_route_is_open_to_nobody_in_particular(matrix):
    wrong = []
    for route in matrix.routes:
        if route in PUBLIC and route[0] == "GET" and route[1] != "/static":
            answers = {
                matrix.ask(who, route).status_code
                for who in ("nobody", "other_owner", "expired_admin")
            }
            if len(answers) != 1 or answers & {401, 403}:
                wrong.append((route, answers))
    assert wrong == []
