"""The public page that compares two witnessed versions of an agreement."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firmware.protocol.register.entries import Agreement
from relay.agency.agreement_versions import compare
from relay.web.area_files import shown_changes
from relay.web.json_responses import not_found
from relay.web.public.query_params import COMPARE_ASK
from relay.web.public.response_cache import ResponseCache
from relay.web.public.services import PublicServices

MAX_VERSION_DIGITS = 5


class AgreementPages:
    """The comparison page; its route stands before /agreements/{sha256}."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/agreements/compare", self.compare, methods=["GET"])]

    async def compare(self, request: Request) -> Response:
        """GET /agreements/compare?agency=…&from=1&to=2; without numbers, the two newest."""
        view = await self._services.record.view()
        facts = view.register.facts.agreements.get(request.query_params.get("agency", ""), ())
        known = [fact.agreement for fact in facts if fact.seen_ms is not None]

        async def make() -> Response:
            if not known:
                raise not_found("agency")
            newest = _number(request, "to", len(known))
            older = _number(request, "from", max(1, newest - 1))
            if not 1 <= older <= newest <= len(known):
                raise not_found("version")
            return await self._compared(request, known[older - 1], known[newest - 1], known)

        return await self._answering.answer(
            request,
            version=view.version,
            language=self._services.pages.texts(request).language,
            make=make,
            known=COMPARE_ASK,
        )

    async def _compared(
        self, request: Request, old: Agreement, new: Agreement, known: list[Agreement]
    ) -> Response:
        old_text = await self._services.agencies.find_text(old.text_sha256)
        new_text = await self._services.agencies.find_text(new.text_sha256)
        if old_text is None or new_text is None:
            raise not_found("agreement")
        difference = await asyncio.to_thread(compare, old, old_text, new, new_text)
        return self._services.pages.render(
            request,
            "public/agreement_compare.html",
            difference=difference,
            changes=await asyncio.to_thread(shown_changes, difference),
            versions=known,
        )


def _number(request: Request, name: str, otherwise: int) -> int:
    """Return a version's number, 0 for an invalid one: each number has one spelling only."""
    text = request.query_params.get(name, "")
    if not text:
        return otherwise
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS
    return int(text) if is_number and not text.startswith("0") else 0
