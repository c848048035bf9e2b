"""The check page: what an installer looks at before the doorbell is hung up, for one browser.

Who may open it is `check_window`'s to say; here a browser is only asked for what is missing.
Whoever doesn't have the window gets no picture, no level and no result. The page works without its
script, which only keeps figures and picture fresh; it is the one page of the doorbell that has one.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.errors import CheckCodeLocked, CheckCodeWrong
from firmware.local_page.check_results import ASKED, CheckResult
from firmware.local_page.check_session import CheckSession
from firmware.local_page.check_window import Missing, WindowRefused
from firmware.local_page.door_number_entry import DoorNumberEntry
from firmware.local_page.forms import FormRefused, read_form
from firmware.local_page.ports import DoorbellPort
from firmware.local_page.responses import Responses, wants_json
from firmware.local_page.texts import Texts
from firmware.system.clock import Clock

PATH = "/check"
COOKIE = "dw_check"
_DIGITS = re.compile("[0-9]{4}")
_PAGE_MS = re.compile("[0-9]{1,15}")
_ANSWERS: Mapping[str, bool] = {"yes": True, "no": False}
_STATUS: Mapping[Missing, HTTPStatus] = {
    "number": HTTPStatus.FORBIDDEN,
    "button": HTTPStatus.FORBIDDEN,
    "recording": HTTPStatus.CONFLICT,
}
QUIETEST_SHOWN_DBFS = -60


class CheckPages:
    """The check page and what it does; `session` has the window."""

    def __init__(
        self,
        ports: DoorbellPort,
        session: CheckSession,
        *,
        replies: Responses,
        entry: DoorNumberEntry,
        clock: Clock,
    ) -> None:
        self._ports = ports
        self._session = session
        self._window = session.window
        self._replies = replies
        self._entry = entry
        self._clock = clock

    async def show(self, request: Request) -> Response:
        """Show the check to the browser that has it, and to others what they need for it."""
        if not self._is_holder(request):
            return await self._closed(request, self._closed_status(request), "")
        found = await self._session.results(page_ms=_page_ms(request))
        return self._replies.page(
            request,
            "check.html",
            results=found,
            live=self._live(),
            left_s=self._window.left_s,
            device=self._ports.status().device,
            now_ms=self._clock.wall_ms(),
            asked=ASKED,
        )

    async def now(self, request: Request) -> Response:
        """Return the results as JSON, in the page's language."""
        if not self._is_holder(request):
            return self._shut_out(request)
        found = await self._session.results(page_ms=_page_ms(request))
        texts = self._replies.texts(request)
        return JSONResponse(
            {
                "left": texts.duration(self._window.left_s * 1000),
                "checks": [_result_json(texts, result) for result in found],
                **self._live(),
            }
        )

    async def picture(self, request: Request) -> Response:
        """Return the camera's next picture; 204 if it gives none."""
        if not self._is_holder(request):
            return self._shut_out(request)
        jpeg = await self._session.jpeg()
        if jpeg is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return Response(jpeg, media_type="image/jpeg")

    async def unlock(self, request: Request) -> Response:
        """Check the door number."""
        return await self._entry.unlock(request, then=PATH, locked_page=self._closed)

    async def begin(self, request: Request) -> Response:
        """Draw the digits, which light, voice and log give."""
        await read_form(request)
        try:
            await self._window.begin(is_unlocked=self._entry.is_unlocked(request))
        except WindowRefused as error:
            return await self._missing(request, error.missing)
        except CheckCodeLocked as error:
            return await self._locked(request, error)
        return self._replies.done(request, PATH)

    async def enter(self, request: Request) -> Response:
        """Take the digits; the first browser that has them right gets the window."""
        typed = (await read_form(request, "digits"))["digits"].strip()
        texts = self._replies.texts(request)
        if _DIGITS.fullmatch(typed) is None:
            return await self._refuse(request, HTTPStatus.BAD_REQUEST, texts("check.four_digits"))
        try:
            token = await self._window.enter(typed, is_unlocked=self._entry.is_unlocked(request))
        except WindowRefused as error:
            return await self._missing(request, error.missing)
        except CheckCodeLocked as error:
            return await self._locked(request, error)
        except CheckCodeWrong as error:
            says = texts("check.wrong", tries_left=error.tries_left)
            return await self._refuse(request, HTTPStatus.FORBIDDEN, says)
        response = self._replies.done(request, PATH)
        response.set_cookie(
            COOKIE,
            token,
            self._window.left_s,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
            path=PATH,
        )
        return response

    async def end(self, request: Request) -> Response:
        """Close the window, for the browser that has it."""
        await read_form(request)
        if not self._is_holder(request):
            return self._shut_out(request)
        self._window.end()
        return self._replies.done(request, "/")

    async def chime(self, request: Request) -> Response:
        """Sound the chime."""
        await read_form(request)
        if not self._is_holder(request):
            return self._shut_out(request)
        if not self._session.chime():
            says = self._replies.texts(request)("check.chime_rests")
            return self._replies.refused(request, HTTPStatus.CONFLICT, says)
        return self._replies.done(request, f"{PATH}#check-chime")

    async def play(self, request: Request) -> Response:
        """Play the notes."""
        await read_form(request)
        if not self._is_holder(request):
            return self._shut_out(request)
        await self._session.play()
        return self._replies.done(request, f"{PATH}#check-speaker")

    async def measure_card(self, request: Request) -> Response:
        """Measure the memory card."""
        await read_form(request)
        if not self._is_holder(request):
            return self._shut_out(request)
        if not await self._session.measure_card():
            says = self._replies.texts(request)("check.card_enough")
            return self._replies.refused(request, HTTPStatus.CONFLICT, says)
        return self._replies.done(request, f"{PATH}#check-card")

    async def answer(self, request: Request) -> Response:
        """Note what the person says of a part."""
        form = await read_form(request, "check", "answer")
        check, answer = form["check"], form["answer"]
        if check not in ASKED or answer not in _ANSWERS:
            raise FormRefused(HTTPStatus.BAD_REQUEST, "expected a check, and yes or no")
        if not self._is_holder(request):
            return self._shut_out(request)
        self._session.answer(check, is_good=_ANSWERS[answer])
        return self._replies.done(request, f"{PATH}#check-{check}")

    def _is_holder(self, request: Request) -> bool:
        return self._window.is_holder(request.cookies.get(COOKIE))

    def _shut_out(self, request: Request) -> Response:
        says = self._replies.texts(request)("check.not_yours")
        return self._replies.refused(request, HTTPStatus.FORBIDDEN, says)

    def _closed_status(self, request: Request) -> int:
        missing = self._window.missing(is_unlocked=self._entry.is_unlocked(request))
        if missing is not None:
            return _STATUS[missing]
        return HTTPStatus.CONFLICT if self._window.stage == "open" else HTTPStatus.OK

    async def _missing(self, request: Request, missing: Missing) -> Response:
        says = self._replies.texts(request)(f"check.missing.{missing}")
        return await self._refuse(request, _STATUS[missing], says)

    async def _locked(self, request: Request, error: CheckCodeLocked) -> Response:
        texts = self._replies.texts(request)
        key = "check.locked_button" if error.needs_button else "check.locked"
        says = texts(key, wait=texts.wait(error.wait_s))
        return await self._refuse(request, HTTPStatus.TOO_MANY_REQUESTS, says)

    async def _refuse(self, request: Request, status: int, says: str) -> Response:
        return await self._entry.refused(request, status, says, self._closed)

    async def _closed(self, request: Request, status: int, error: str) -> Response:
        """Answer with what this browser needs for the check, and nothing of the check itself."""
        is_unlocked = self._entry.is_unlocked(request)
        missing = self._window.missing(is_unlocked=is_unlocked)
        if wants_json(request):
            facts = {"stage": self._window.stage, "missing": missing}
            return JSONResponse({**facts, "error": error}, status)
        return self._replies.page(
            request,
            "check_begin.html",
            status=status,
            stage=self._window.stage,
            missing=missing,
            error=error,
        )

    def _live(self) -> dict[str, Any]:
        """Return the bars' figures: sharpness now and at best, loudness from 0 to 60."""
        sharp, level = self._session.sharpness, self._session.level_dbfs
        return {
            "sharpness": None if sharp is None else sharp[0],
            "best": None if sharp is None else sharp[1],
            "loudness": None if level is None else max(0, round(level - QUIETEST_SHOWN_DBFS)),
        }


def _result_json(texts: Texts, result: CheckResult) -> dict[str, Any]:
    return {
        "check": result.check,
        "mark": result.mark,
        "word": texts("check.mark." + result.mark),
        "says": texts("check.says." + result.says, **result.values),
        "does": texts("check.do." + result.does, **result.values) if result.does else "",
        "is_asked": result.is_asked,
    }


def _page_ms(request: Request) -> int | None:
    """Return the wall time that the page's script gave, in ms; None without a sound one."""
    given = request.query_params.get("at", "")
    return int(given) if _PAGE_MS.fullmatch(given) else None
