"""Two versions of an agreement side by side, for everybody: those that witnesses have seen."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.agency.agreement_versions import compare
from relay.web.answers import not_found
from relay.web.public.onboarding import OnboardingServices

MAX_VERSION_DIGITS = 5


class AgreementPages:
    """The page that compares; it stands before /agreements/{sha256}."""

    def __init__(self, services: OnboardingServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/agreements/compare", self.compare, methods=["GET"])]

    async def compare(self, request: Request) -> Response:
        """GET /agreements/compare?agency=…&from=1&to=2; without numbers, the two newest."""
        view = await self._services.agencies.view()
        agency = request.query_params.get("agency", "")
        facts = view.facts.agreements.get(agency, ())
        known = [fact.agreement for fact in facts if fact.seen_ms is not None]
        if not known:
            raise not_found("agency")
        newest = _number(request, "to", len(known))
        older = _number(request, "from", max(1, newest - 1))
        if not 1 <= older <= newest <= len(known):
            raise not_found("version")
        old, new = known[older - 1], known[newest - 1]
        old_text = await self._services.agencies.find_text(old.text_sha256)
        new_text = await self._services.agencies.find_text(new.text_sha256)
        return self._services.pages.render(
            request,
            "public/agreement_compare.html",
            difference=await asyncio.to_thread(compare, old, old_text or "", new, new_text or ""),
            has_texts=old_text is not None and new_text is not None,
            versions=known,
        )


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return otherwise
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS
    return int(text) if is_number else 0
