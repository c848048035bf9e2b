"""Whatever is sent to any route, right or wrong: no answer is a mistake of the relay's.

schemathesis makes the cases: from the API's own OpenAPI document, and from one that is made of the
pages' routes (page_description.py). DOORWARD_SCHEMATHESIS says how many there are at least, and
DOORWARD_SCHEMATHESIS_SEED which.
"""

import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import requests as plain_requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.transport.requests import REQUESTS_TRANSPORT

from firmware.protocol.encoding import new_id
from relay.web.json_responses import TEXT_FILES
from tests.attacks.test_nobody_reaches_anothers_things import ENDLESS, routes_of
from tests.relay.everybody import Everybody, Who, open_everybody
from tests.relay.http_world import API, RELAY_URL
from tests.relay.page_description import describe_pages
from tests.relay.test_role_matrix import ASKS_A_DOORBELL, DOORBELL, EXPECTED

Named = tuple[str, str]
Run = Callable[[Coroutine[Any, Any, Any]], Any]
Part = tuple[SearchStrategy[Case], Named, int]

CASES: Final = int(os.environ.get("DOORWARD_SCHEMATHESIS", "5000"))
SEED: Final = int(os.environ.get("DOORWARD_SCHEMATHESIS_SEED", "6"))
LONG: Final = 5000
"""From so many random cases on, wrong ones are made at random as well."""
NOT_THE_OWNERS_OWN: Final = ASKS_A_DOORBELL | {("DELETE", DOORBELL)}
"""Not asked of the doorbell that is there: its word is waited for, or it would be gone."""
ENDS_SESSIONS: Final = ("/session", "/sessions", "/sessions/end", "/logout")
UNWELL: Final = {"/healthz": 503}
"""This relay has no bucket, and says so."""
WITH_JSON: Final = "application/json"


class Sender:
    """Sends cases to one relay, and keeps what went wrong."""

    def __init__(self, everybody: Everybody, run: Run) -> None:
        self.everybody = everybody
        self.run = run
        self.count = 0
        self.statuses: Counter[int] = Counter()
        self.wrong: dict[tuple[str, str], str] = {}

    def send(self, case: Case, route: Named) -> None:
        """Send one, every other time to things that are there."""
        self.count += 1
        if self.count % 2 and route not in NOT_THE_OWNERS_OWN:
            ids = {**self.everybody.ids, "log": "register", "index": 0}
            for name in case.path_parameters or {}:
                case.path_parameters[name] = ids.get(name, new_id())
        base_url = RELAY_URL + (API if route[1].startswith(API) else "")
        asked = REQUESTS_TRANSPORT.serialize_case(case, base_url=base_url)
        sent = plain_requests.Request(**asked).prepare()
        try:
            answer = self.run(self._ask(sent, self._who(route)))
        except Exception as error:  # noqa: BLE001 - it is what the test looks for
            trouble = f"{type(error).__name__}: {error}"[:200]
        else:
            self.statuses[answer.status_code] += 1
            trouble = trouble_in(answer)
        if trouble:
            what = f"{sent.method} {sent.url} {sent.headers} {sent.body!r}"[:1500]
            self.wrong.setdefault((f"{route[0]} {route[1]}", trouble), what)

    async def _ask(self, sent: plain_requests.PreparedRequest, who: Who) -> httpx2.Response:
        skipped = ("Content-Length", "Cookie", "Authorization", "Origin", "Host", "Accept")
        headers = {name: value for name, value in sent.headers.items() if name not in skipped}
        headers["Accept"] = WITH_JSON if self.count % 3 else "text/html"
        url = str(sent.url).removeprefix(RELAY_URL)
        person = self.everybody.people[who]
        # Public pages leave out of an address what they don't read, and say so by a redirect.
        is_followed = sent.method == "GET" and not url.startswith("/agency")
        return await person.ask(
            str(sent.method),
            url,
            headers=headers,
            content=sent.body,
            follow_redirects=is_followed,
        )

    def _who(self, route: Named) -> Who:
        """Return somebody who may use the route; whose session it ends isn't asked for again."""
        rule = EXPECTED.get(route)
        if rule is None:
            return "nobody"
        is_over = route[0] != "GET" and route[1].endswith(ENDS_SESSIONS)
        if rule.face == "api":
            return "other_owner" if is_over else "owner"
        if rule.face == "admin":
            return "expired_admin" if is_over else "admin"
        parts: tuple[Who, ...] = ("officer", "agency_admin", "newcomer")
        return "approver" if is_over else next(one for one in parts if one in rule.roles)


def trouble_in(answer: httpx2.Response) -> str:
    """Return what is wrong with an answer, or an empty text."""
    allowed = UNWELL.get(answer.request.url.path)
    if answer.status_code >= 500:
        return "" if answer.status_code == allowed else f"{answer.status_code}"
    if answer.status_code < 400 or not answer.content:
        return ""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == "text/html":
        return "" if "</html>" in answer.text else "half a page"
    if kind == "text/plain" and answer.request.url.path.endswith(TEXT_FILES):
        return "" if len(answer.text.splitlines()) == 1 else "more than one line of an error"
    if kind != WITH_JSON:
        return f"an error as {kind}"
    error = json.loads(answer.text).get("error", {})
    return "" if {"code", "message"} <= set(error) else f"an error without words: {error}"


def without_session(document: dict[str, Any]) -> dict[str, Any]:
    """Return the API's document without what every asker brings along anyway."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [
                one for one in operation.get("parameters", []) if one["in"] != "header"
            ]
    return document


def with_any_text(part: Any) -> Any:
    """Return a part of a document in which texts for people may be anything.

    A generator tries long for 2,000 signs that fit a pattern with a look-ahead, and texts that
    don't fit are to be sent as well.
    """
    if isinstance(part, dict):
        is_text = "(?=" in str(part.get("pattern", ""))
        return {
            name: with_any_text(value)
            for name, value in part.items()
            if not (is_text and name == "pattern")
        }
    return [with_any_text(value) for value in part] if isinstance(part, list) else part


def operations_of(
    everybody: Everybody, api: dict[str, Any]
) -> Iterator[tuple[APIOperation, Named]]:
    """Yield every operation of the two documents, with its route."""
    routes = sorted(set(routes_of(everybody.world.app)) - ENDLESS)
    for document, prefix in ((without_session(api), API), (describe_pages(routes), "")):
        described = schemathesis.openapi.from_dict(with_any_text(document))
        for found in described.get_all_operations():
            operation = found.ok()
            route = (operation.method.upper(), prefix + operation.path)
            if route not in ENDLESS:
                yield operation, route


def fuzzed(operations: list[tuple[APIOperation, Named]], *, is_long: bool) -> list[Part]:
    """Return strategies for what can be sent, and how many of the cases each gets.

    A path and a page's query may be any text: of those there is nothing wrong to make.
    """
    parts: list[Part] = []
    for operation, route in operations:
        if len(operation.body):
            parts.append((operation.as_strategy(GenerationMode.POSITIVE), route, 2))
            if is_long:  # they take longest to make, and the boundary cases have some
                parts.append((operation.as_strategy(GenerationMode.NEGATIVE), route, 2))
        elif len(operation.query):
            parts.append((operation.as_strategy(GenerationMode.POSITIVE), route, 1))
    return parts


def send_some(
    sender: Sender, strategy: SearchStrategy[Case], route: Named, *, count: int, seed_: int
) -> None:
    """Send so many cases of a route's, or all that there are."""

    @seed(seed_)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(case: Case) -> None:
        sender.send(case, route)

    with contextlib.suppress(Unsatisfiable):  # of some there is nothing wrong to make
        each()


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    with asyncio.Runner() as runner:
        world = open_everybody(tmp_path)
        yield Sender(runner.run(world.__aenter__()), runner.run)
        runner.run(world.__aexit__(None, None, None))


@pytest.mark.slow
def test_nothing_that_is_sent_is_answered_with_a_mistake(sender):
    document = sender.run(sender.everybody.people["nobody"].ask("GET", f"{API}/openapi.json"))
    operations = list(operations_of(sender.everybody, document.json()))
    for operation, route in operations:
        for case in boundary_cases(operation):
            sender.send(case, route)
    missing = CASES - sender.count
    parts = fuzzed(operations, is_long=missing > LONG)
    share = missing / sum(weight for _, _, weight in parts)
    rounds = 0
    while sender.count < CASES:
        for strategy, route, weight in parts:
            count = max(1, round(share * weight))
            send_some(sender, strategy, route, count=count, seed_=SEED + rounds)
            if sender.count >= CASES:
                break
        rounds += 1
    print(f"{sender.count} cases with seed {SEED}: {sorted(sender.statuses.items())}")
    told = "\n".join(f"{what}\n    {sent}" for what, sent in sender.wrong.items())
    assert not sender.wrong, f"with DOORWARD_SCHEMATHESIS_SEED={SEED}:\n{told}"


def boundary_cases(operation: APIOperation) -> Iterator[Case]:
    """Yield what lies at the edges of what is described, on either side of them."""
    schema = operation.schema
    yield from schema.iter_coverage_cases(
        operation,
        generation_modes=list(GenerationMode),
        generation_config=schema.config.generation_for(operation=operation),
    )
