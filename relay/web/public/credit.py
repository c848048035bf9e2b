"""The public pages of the credits: what they are, balances, months, the ledger, and lists."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.credit.ledger import DOORBELL_CENTS, SIGN_UP_CENTS, STARTING_DOORBELLS
from relay.credit.lots import LOT
from relay.credit.public_ledger import PublicLedger
from relay.credit.terms import TERMS
from relay.record.exports import Row, as_csv
from relay.store.credit import LedgerTransaction
from relay.web.pagination import number_in
from relay.web.public.file_responses import CSV_TYPE, JSON_TYPE, file_answer
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicServices

PAGE_SIZE = 50
CSV_ROWS = 100_000
"""Transactions in the file, the newest; a closed month's own file has the older ones."""
MONTHS_SHOWN = 24
LEDGER_FIELDS = ("number", "month", "kind", "account", "cents", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """One page of the ledger, as the pager of long lists wants it."""

    rows: list[LedgerTransaction]
    number: int
    count: int
    total: int


class CreditPages:
    """The pages under /credits."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/credits", self.show),
            Route("/credits/ledger", self.ledger),
            Route("/credits/ledger.csv", self.ledger_csv),
            Route("/credits/terms.json", self.terms),
            Route("/credits/months/{month}.json", self.month),
            Route("/credits/recipients/{name}.json", self.recipients_file),
            Route("/credits/recipients/{name}", self.recipients),
        ]

    @property
    def _ledger(self) -> PublicLedger:
        return self._services.credits

    async def show(self, request: Request) -> Response:
        """GET /credits: what this is, the balances, the months and the lists."""
        told = await self._ledger.overview()
        dollars = self._dollars(request)

        async def make() -> Response:
            return self._services.pages.render(
                request,
                "public/credits.html",
                told=told,
                months=told.months[:MONTHS_SHOWN],
                terms=TERMS,
                dollars=dollars,
                sign_up=dollars(SIGN_UP_CENTS),
                doorbell=dollars(DOORBELL_CENTS),
                lot=LOT,
                starting=STARTING_DOORBELLS,
            )

        return await self._answer(request, told.version, make)

    async def ledger(self, request: Request) -> Response:
        """GET /credits/ledger: all transactions, newest first."""
        _, total = await self._ledger.page(start=0, limit=0)
        number, count = number_in(request, total, size=PAGE_SIZE)

        async def make() -> Response:
            rows, total = await self._ledger.page(start=(number - 1) * PAGE_SIZE, limit=PAGE_SIZE)
            paged = LedgerPage(rows=rows, number=number, count=count, total=total)
            return self._services.pages.render(
                request, "public/credits_ledger.html", paged=paged, dollars=self._dollars(request)
            )

        return await self._answer(request, str(total), make, known=("page",))

    async def ledger_csv(self, request: Request) -> Response:
        """GET /credits/ledger.csv: each line of each transaction, newest first."""
        _, total = await self._ledger.page(start=0, limit=0)

        async def make() -> Response:
            transactions, _ = await self._ledger.page(start=0, limit=CSV_ROWS)
            rows = [row for one in transactions for row in _rows(one)]
            return file_answer(as_csv(LEDGER_FIELDS, rows), CSV_TYPE, name="credits-ledger.csv")

        return await self._answer(request, str(total), make)

    async def terms(self, request: Request) -> Response:
        """GET /credits/terms.json: the terms on each receipt, whose digest it has."""

        async def make() -> Response:
            return file_answer(TERMS.encode(), JSON_TYPE)

        return await self._answer(request, TERMS.digest(), make)

    async def month(self, request: Request) -> Response:
        """GET /credits/months/{month}.json: a closed month, exactly as its digest is logged."""
        text = await self._ledger.month_text(request.path_params["month"])
        if text is None:
            raise HTTPException(404, "no such month is closed")

        async def make() -> Response:
            return file_answer(text, JSON_TYPE)

        return await self._answer(request, "closed", make)

    async def recipients(self, request: Request) -> Response:
        """GET /credits/recipients/{name}: a list, its need in words, and its draw."""
        told = await self._ledger.overview()
        name = request.path_params["name"]
        found = next((one for one in told.lists if one.row.name == name), None)
        if found is None:
            raise HTTPException(404, "no such list")
        partner = next(one.name for one in told.partners if one.id == found.listed.partner)

        async def make() -> Response:
            return self._services.pages.render(
                request, "public/credits_recipients.html", found=found, partner=partner
            )

        return await self._answer(request, told.version, make)

    async def recipients_file(self, request: Request) -> Response:
        """GET /credits/recipients/{name}.json: a list, exactly as its digest is logged."""
        row = await self._ledger.find_list(request.path_params["name"])
        if row is None:
            raise HTTPException(404, "no such list")

        async def make() -> Response:
            return file_answer(row.document.encode(), JSON_TYPE)

        return await self._answer(request, row.sha256, make)

    def _dollars(self, request: Request) -> Callable[[int], str]:
        return partial(dollars, language=self._services.pages.texts(request).language)

    async def _answer(
        self, request: Request, version: str, make: Make, *, known: Collection[str] = ()
    ) -> Response:
        view = await self._services.record.view()  # an invented town's page shows its clock
        language = self._services.pages.texts(request).language
        return await self._answering.answer(
            request,
            version=f"{view.version}-{version}",
            language=language,
            make=make,
            known=known,
        )


def dollars(cents: int, *, language: str) -> str:
    """Return an amount in the language's format: $1,300.05; in Swedish 1 300,05 USD.

    Whole dollars have no decimals. No line breaks within an amount.
    """
    sign = "\N{MINUS SIGN}\N{WORD JOINER}" if cents < 0 else ""
    whole, rest = f"{abs(cents) // 100:,}", f"{abs(cents) % 100:02d}"
    rest = "" if rest == "00" else rest
    if language == "sv":
        whole = whole.replace(",", "\N{NO-BREAK SPACE}")
        return f"{sign}{whole}{rest and ',' + rest}\N{NO-BREAK SPACE}USD"
    return f"{sign}${whole}{rest and '.' + rest}"


def _rows(one: LedgerTransaction) -> list[Row]:
    return [
        {
            "number": one.number,
            "month": one.month,
            "kind": one.kind,
            "account": line.account,
            "cents": line.cents,
            "reference": one.reference,
        }
        for line in one.lines
    ]
