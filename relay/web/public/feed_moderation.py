"""The public page /neighbours/moderation: the figures of the feed's moderation, and as JSON."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay.feed.figures import FeedFigures, MonthFigures
from relay.feed.rejudgements import FEWEST_A_MONTH, ONE_IN
from relay.web.public.services import PublicServices

PUBLISHED = "published"
"""What a second judgement is called that agreed, or not, to publish."""


class FeedModerationPages:
    """The figures as a page and for programs."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return these pages' routes; they stand before /neighbours/{district}."""
        return [
            Route("/neighbours/moderation", self.show),
            Route("/neighbours/moderation.json", self.show_json),
        ]

    async def show(self, request: Request) -> Response:
        """GET /neighbours/moderation: queue, months, reasons, and agreement."""
        return self._services.pages.render(
            request,
            "public/feed_moderation.html",
            figures=await self._services.feed.figures.read(),
            fewest=FEWEST_A_MONTH,
            one_in=ONE_IN,
        )

    async def show_json(self, request: Request) -> Response:  # noqa: ARG002
        """GET /neighbours/moderation.json: the same."""
        return JSONResponse(_json(await self._services.feed.figures.read()))


def _json(figures: FeedFigures) -> dict[str, object]:
    queue = figures.queue
    return {
        "queue": {
            "posts": queue.posts,
            "oldest_hours": queue.oldest_hours,
            "appeals": queue.appeals,
            "oldest_appeal_hours": queue.oldest_appeal_hours,
        },
        "months": [_month_json(one) for one in figures.months],
    }


def _month_json(one: MonthFigures) -> dict[str, object]:
    return {
        "month": one.month,
        "published": one.published,
        "refused": one.refused,
        "appeals_upheld": one.upheld,
        "appeals_overturned": one.overturned,
        "median_hours": one.median_hours,
        "judged_again_drawn": one.drawn,
        "judged_again": {
            again.reason or PUBLISHED: {"judged": again.judged, "agreed": again.agreed}
            for again in one.again
        },
        "shown_at_once_by_agencies": one.at_once,
    }
