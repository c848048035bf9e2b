"""The owner's last word (trust rule R10b): unlock, look at what would leave, say yes or no.

Without the door number this page tells only that something waits, not who asks for what. With
it, it plays those clips that a waiting statement names, and no other.
"""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.door.entry import Entry
from firmware.door.forms import read_form
from firmware.door.ports import DoorPorts, WaitingStatement
from firmware.door.ranges import ranged
from firmware.door.replies import Replies, wants_json

DONE_OF = {"grant": "released", "add_owner": "added", "session": "enrolled"}
DONE = (*DONE_OF.values(), "refused")


class ConfirmPages:
    """All that needs the door number."""

    def __init__(self, ports: DoorPorts, replies: Replies, entry: Entry) -> None:
        self._ports = ports
        self._replies = replies
        self._entry = entry

    async def show(self, request: Request) -> Response:
        """Show what waits; its content only where the door number was entered."""
        waiting = self._ports.waiting()
        is_unlocked = self._entry.is_unlocked(request)
        if wants_json(request):
            told = [_told(statement, is_unlocked) for statement in waiting]
            return JSONResponse({"is_unlocked": is_unlocked, "waiting": told})
        if not is_unlocked:
            return self._locked_page(request, HTTPStatus.OK, "")
        done = request.query_params.get("done")
        return self._replies.page(
            request, "confirm.html", waiting=waiting, done=done if done in DONE else ""
        )

    async def unlock(self, request: Request) -> Response:
        """Check the door number."""
        return await self._entry.unlock(request, then="/confirm", locked_page=self._locked_page)

    async def lock(self, request: Request) -> Response:
        """Forget this browser."""
        return await self._entry.lock(request, then="/confirm")

    async def confirm(self, request: Request) -> Response:
        """Say yes to one statement."""
        return await self._decide(request, is_yes=True)

    async def refuse(self, request: Request) -> Response:
        """Say no to one statement."""
        return await self._decide(request, is_yes=False)

    async def clip(self, request: Request) -> Response:
        """Play a clip that a waiting statement names."""
        texts = self._replies.texts(request)
        if not self._entry.is_unlocked(request):
            return self._replies.refused(request, HTTPStatus.FORBIDDEN, texts("unlock.first"))
        clip_id = request.path_params["clip_id"]
        named = {clip.clip_id for statement in self._ports.waiting() for clip in statement.clips}
        mp4 = await self._ports.plain_mp4(clip_id) if clip_id in named else None
        if mp4 is None:
            return self._replies.refused(request, HTTPStatus.NOT_FOUND, texts("error.not_found"))
        return ranged(mp4, request.headers.get("range"), "video/mp4")

    async def _decide(self, request: Request, *, is_yes: bool) -> Response:
        await read_form(request)
        texts = self._replies.texts(request)
        if not self._entry.is_unlocked(request):
            error = texts("unlock.first")
            return self._entry.refused(request, HTTPStatus.FORBIDDEN, error, self._locked_page)
        digest = request.path_params["digest"]
        statement = next((one for one in self._ports.waiting() if one.digest == digest), None)
        if statement is None:
            return self._replies.refused(request, HTTPStatus.NOT_FOUND, texts("confirm.gone"))
        outcome = await (self._ports.confirm(digest) if is_yes else self._ports.refuse(digest))
        if not outcome.is_done:
            error = texts("confirm.failed", detail=outcome.detail)
            return self._replies.refused(request, HTTPStatus.CONFLICT, error)
        done = DONE_OF[statement.kind] if is_yes else "refused"
        return self._replies.done(request, f"/confirm?done={done}")

    def _locked_page(self, request: Request, status: int, error: str) -> Response:
        return self._replies.page(
            request,
            "unlock.html",
            status=status,
            waiting_count=len(self._ports.waiting()),
            is_paired=self._ports.status().is_paired,
            error=error,
        )


def _told(statement: WaitingStatement, is_unlocked: bool) -> dict[str, object]:
    told: dict[str, object] = {"digest": statement.digest, "kind": statement.kind}
    if is_unlocked:
        told |= {
            "agency": statement.agency,
            "case_number": statement.case_number,
            "owner_name": statement.owner_name,
            "browser_name": statement.browser_name,
            "words": list(statement.words),
            "has_audio": statement.has_audio,
            "expires_ms": statement.expires_ms,
            "recipient_fingerprint": statement.recipient_fingerprint,
            "clips": [
                {
                    "clip_id": clip.clip_id,
                    "started_ms": clip.started_ms,
                    "duration_ms": clip.duration_ms,
                }
                for clip in statement.clips
            ],
        }
    return told
