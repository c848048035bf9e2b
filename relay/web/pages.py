"""Rendering of templates in the reader's language."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from relay.base.clock import SimulatedClock
from relay.base.log_lines import current
from relay.map.places import Places
from relay.web.area_views import AreaPictures
from relay.web.i18n import LANGUAGES, Texts, choose_language, load_texts

LANGUAGE = "lang"
LANGUAGE_COOKIE = "dw_language"
YEAR_S = 365 * 24 * 3600
KILO = 1000
UNITS = (("kB", KILO), ("MB", KILO**2), ("GB", KILO**3))


class Pages:
    """The loaded templates."""

    def __init__(
        self,
        *,
        relay_name: str,
        example_town: str = "",
        town_clock: SimulatedClock | None = None,
        compiled: BytecodeCache | None = None,
        places: Places | None = None,
    ) -> None:
        """`example_town` is the name of the logs where that is an invented town's.

        `town_clock` is its clock where that may be wound: then each page says what time it is.
        `compiled` keeps compiled templates for several Pages; without it each compiles its own.
        `places` have the names that stand beside map cells.
        """
        self._texts = load_texts()
        self._relay_name = relay_name
        self._example_town = example_town
        self._town_clock = town_clock
        self._templates = Environment(
            loader=PackageLoader("relay.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            bytecode_cache=compiled,
            auto_reload=False,  # an update in place isn't this process's
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.areas = AreaPictures(places or Places())
        self._templates.globals |= {"area_of": self.areas.of, "place_of": self.areas.place_of}

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        csrf: str = "",
        **context: Any,  # Any: whatever the template shows
    ) -> HTMLResponse:
        """Return the page; `csrf` is the session's, empty for nobody signed in."""
        texts = self.texts(request)
        language = texts.language
        html = self._templates.get_template(template).render(
            t=texts,
            language=language,
            languages=[
                (other, str(request.url.include_query_params(lang=other).query))
                for other in LANGUAGES
            ],
            module_texts=texts.for_modules(),
            relay_name=self._relay_name,
            example_town=self._example_town,
            town_clock=self._town_clock,
            path=request.url.path,
            csrf=csrf,
            request_number=current(),
            when=when,
            size=partial(size, language=language),
            **context,
        )
        response = HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})
        response.headers["Vary"] = "Accept-Language, Cookie"
        keep_language(request, response)
        return response

    def texts(self, request: Request) -> Texts:
        """Return the texts in the reader's language."""
        language = choose_language(
            asked=request.query_params.get(LANGUAGE),
            kept=request.cookies.get(LANGUAGE_COOKIE),
            accept=request.headers.get("accept-language", ""),
        )
        return self._texts[language]

    def every_language(self) -> Mapping[str, Texts]:
        """Return the texts of every language, by its code."""
        return self._texts


def keep_language(request: Request, response: Response) -> None:
    """Let a browser remember the language that `?lang=` asks for."""
    asked = request.query_params.get(LANGUAGE)
    if asked in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, asked, max_age=YEAR_S, samesite="lax", httponly=True)


def when(time_ms: int) -> Markup:
    """Return a <time> element: UTC as text, with the exact time for the localising module."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    exact = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" data-ms="{}">{} UTC</time>').format(
        exact, time_ms, moment.strftime("%Y-%m-%d %H:%M")
    )


def size(size_bytes: int, *, language: str) -> str:
    """Return a size in the language's format: 840 bytes, 5.2 MB; in Swedish 5,2 MB."""
    if size_bytes < KILO:
        word = "byte" if size_bytes == 1 or language == "sv" else "bytes"
        return f"{size_bytes}\N{NO-BREAK SPACE}{word}"
    unit, worth = next((one for one in UNITS if size_bytes < KILO * one[1]), UNITS[-1])
    text = f"{size_bytes / worth:.1f}"
    return f"{text.replace('.', ',') if language == 'sv' else text}\N{NO-BREAK SPACE}{unit}"
