"""The list of all pages of a relay, made from its routes.

Whatever answers a GET with HTML is a page. A route that nobody of the people here can open is a
mistake in full_house.py, so that a new page can't escape.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.attacks.test_nobody_reaches_anothers_things import routes_of
from tests.relay.http_world import RELAY_URL, World

Page = tuple[str, str]
"""Who opens it, and its path with the query."""
GUEST = "guest"
ADMIN = "admin"
REFUSING = ("/agency/oidc/callback",)
"""Nobody reaches them without another site: they are looked at as they refuse."""
NO_PAGES = ("/api", "/static", "/healthz", "/livez", "/readyz")
"""Everything else that is no page says so by its content type."""
NEEDS_MORE = (
    *("/agency/streets.pmtiles", "/agency/oidc/start", "/agreements/compare"),
    "/for-agencies/{onboarding_id}/area/streets.pmtiles",
    "/theft-map/streets.pmtiles",
    *("/entries/{log}/{index}/proof", "/transparency/policy"),
    *("/transparency/monitor-report.json", "/map/streets.pmtiles"),
)
"""Closed without a query, streets, a sign-in of the agency's own, a real log's files, a monitor."""


@dataclass
class House:
    """The relay, who is signed in to it, and what the routes' parameters may be."""

    world: World
    people: dict[str, httpx2.AsyncClient]
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    more: list[Page] = field(default_factory=list)

    async def pages(self) -> list[Page]:
        """Return every page once for each thing that it can be of."""
        found, closed = list(self.more), []
        for route in self._routes():
            pages, is_opened = await self._of_route(route)
            found += pages
            closed += [] if is_opened else [route]
        assert closed == [], f"nobody opens {closed}: tests/flows/full_house.py needs one of each"
        return list(dict.fromkeys(found))

    async def plain_pages(self) -> list[Page]:
        """Return the pages that are of nothing in particular, if somebody here opens them."""
        found = list(self.more)
        for route in self._routes():
            found += (await self._of_route(route))[0] if "{" not in route else []
        return list(dict.fromkeys(found))

    def _routes(self) -> list[str]:
        routes = sorted({path for method, path in routes_of(self.world.app) if method == "GET"})
        return [route for route in routes if not route.startswith(NO_PAGES)]

    async def _of_route(self, route: str) -> tuple[list[Page], bool]:
        if route in REFUSING:
            return [(GUEST, route)], True
        pages, is_opened = [], route in NEEDS_MORE
        everybody = sorted(self.people, key=lambda who: route.startswith(f"/{who}"), reverse=True)
        for path in self._filled(route):
            for who in everybody:
                answer = await self.people[who].get(path)
                is_opened |= answer.status_code < 400
                if answer.status_code == 200:
                    if "text/html" in answer.headers["content-type"]:
                        pages.append((who, path))
                    everybody.sort(key=lambda one: one != who)
                    break
        return pages, is_opened

    def _filled(self, route: str) -> list[str]:
        paths = [route.replace(":int", "")]
        for name, ids in self.ids.items():
            if f"{{{name}}}" in paths[0]:
                paths = [path.replace(f"{{{name}}}", one) for path in paths for one in ids]
        return paths

    def cookies(self, who: str) -> list[dict[str, Any]]:
        """Return somebody's session as a browser holds it."""
        name = "dw_admin" if who == ADMIN else "dw_agency"
        token = self.people[who].cookies.get(name)
        address = f"{RELAY_URL}/{name.removeprefix('dw_')}"
        return [] if token is None else [{"name": name, "value": token, "url": address}]


def names_of(house: House, pages: list[Page]) -> Iterator[str]:
    """Yield a name for each page, with a number where it is another of the same kind.

    Ids don't go into it, for they are others each time.
    """
    ids = {one for found in house.ids.values() for one in found if len(one) > 20}
    seen: dict[str, int] = {}
    for who, path in pages:
        parts = [part for part in re.split(r"[/?=&+]", path) if part and part not in ids]
        name = "-".join([who.replace(" ", "-"), *parts])
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}"
