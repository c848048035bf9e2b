"""Confirmation pages (trust rule R10b): unlock, view the footage that would leave, confirm or not.

Without the door number this page shows only that something waits, not who asks for what. With it,
it plays the parts of clips that a waiting grant gives, and nothing else; and it shows the progress
of a confirmed grant.
"""

import re
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.local_page.byte_ranges import ranged
from firmware.local_page.door_number_entry import DoorNumberEntry
from firmware.local_page.forms import read_form
from firmware.local_page.json_views import progress_json, statement_json
from firmware.local_page.ports import DoorbellPort
from firmware.local_page.responses import Responses, wants_json
from firmware.local_page.views import UNDER_WAY, GrantView, StatementView

DONE_OF = {
    "add_owner": "added",
    "remove_owner": "removed",
    "give_right": "enrolled",
    "refuse_agency": "heard_again",
    "settings": "settings",
    "recovery": "recovery",
    "add_approver": "approver",
}
_CLIP_NUMBER = re.compile("[1-9][0-9]?")
DONE = (*DONE_OF.values(), "not_released", "refused")


class ConfirmPages:
    """Pages that need the door number, except those of switches."""

    def __init__(self, ports: DoorbellPort, replies: Responses, entry: DoorNumberEntry) -> None:
        self._ports = ports
        self._replies = replies
        self._entry = entry

    async def show(self, request: Request) -> Response:
        """Show the waiting statements; their content only where the door number was entered."""
        waiting = await self._ports.waiting()
        is_unlocked = self._entry.is_unlocked(request)
        if wants_json(request):
            told = [statement_json(statement, is_unlocked) for statement in waiting]
            return JSONResponse({"is_unlocked": is_unlocked, "waiting": told})
        if not is_unlocked:
            return await self._locked_page(request, HTTPStatus.OK, "")
        done = request.query_params.get("done")
        return self._replies.page(
            request,
            "confirm.html",
            waiting=waiting,
            under_way=await self._ports.under_way(),
            done=done if done in DONE else "",
        )

    async def unlock(self, request: Request) -> Response:
        """Check the door number."""
        return await self._entry.unlock(request, then="/confirm", locked_page=self._locked_page)

    async def open_link(self, request: Request) -> Response:
        """Open the page by a link past a lock."""
        return await self._entry.open_link(request, then="/confirm")

    async def lock(self, request: Request) -> Response:
        """Forget this browser."""
        return await self._entry.lock(request, then="/confirm")

    async def confirm(self, request: Request) -> Response:
        """Confirm one statement."""
        return await self._decide(request, is_yes=True)

    async def refuse(self, request: Request) -> Response:
        """Refuse one statement."""
        return await self._decide(request, is_yes=False)

    async def part(self, request: Request) -> Response:
        """Play the part of a clip that a waiting grant gives."""
        texts = self._replies.texts(request)
        if not self._entry.is_unlocked(request):
            return self._replies.refused(request, HTTPStatus.FORBIDDEN, texts("unlock.first"))
        digest, number = request.path_params["digest"], request.path_params["number"]
        is_number = _CLIP_NUMBER.fullmatch(number) is not None
        mp4 = await self._ports.part(digest, int(number)) if is_number else None
        if mp4 is None:
            return self._replies.refused(request, HTTPStatus.NOT_FOUND, texts("error.not_found"))
        return ranged(mp4, request.headers.get("range"), "video/mp4")

    async def release(self, request: Request) -> Response:
        """Show how far a grant has come that was confirmed."""
        if not self._entry.is_unlocked(request):
            error = self._replies.texts(request)("unlock.first")
            return await self._entry.refused(
                request, HTTPStatus.FORBIDDEN, error, self._locked_page
            )
        progress = await self._ports.progress(request.path_params["digest"])
        if progress is None:
            error = self._replies.texts(request)("error.not_found")
            return self._replies.refused(request, HTTPStatus.NOT_FOUND, error)
        if wants_json(request):
            return JSONResponse(progress_json(progress))
        return self._replies.page(
            request, "release.html", release=progress, is_under_way=progress.stage in UNDER_WAY
        )

    async def _decide(self, request: Request, *, is_yes: bool) -> Response:
        await read_form(request)
        texts = self._replies.texts(request)
        if not self._entry.is_unlocked(request):
            error = texts("unlock.first")
            return await self._entry.refused(
                request, HTTPStatus.FORBIDDEN, error, self._locked_page
            )
        digest = request.path_params["digest"]
        waiting = await self._ports.waiting()
        statement = next((one for one in waiting if one.digest == digest), None)
        if statement is None:
            return self._replies.refused(request, HTTPStatus.NOT_FOUND, texts("confirm.gone"))
        if is_yes and _has_problem(statement):
            error = texts("confirm.failed", detail=texts("grant.impossible"))
            return self._replies.refused(request, HTTPStatus.CONFLICT, error)
        outcome = await (self._ports.confirm(digest) if is_yes else self._ports.refuse(digest))
        if not outcome.is_done:
            error = texts("confirm.failed", detail=outcome.detail)
            return self._replies.refused(request, HTTPStatus.CONFLICT, error)
        return self._replies.done(request, _after(statement, is_yes=is_yes))

    async def _locked_page(self, request: Request, status: int, error: str) -> Response:
        return self._replies.page(
            request,
            "unlock.html",
            status=status,
            waiting_count=len(await self._ports.waiting()),
            is_paired=self._ports.status().is_paired,
            error=error,
        )


def _after(statement: StatementView, *, is_yes: bool) -> str:
    """Return the path to which a browser goes after the owner's answer."""
    is_grant = statement.kind == "grant"
    if not is_yes:
        return f"/confirm?done={'not_released' if is_grant else 'refused'}"
    return (
        f"/releases/{statement.digest}" if is_grant else f"/confirm?done={DONE_OF[statement.kind]}"
    )


def _has_problem(statement: StatementView) -> bool:
    asked = statement.asked
    return isinstance(asked, GrantView) and any(clip.problem for clip in asked.clips)
