"""An owner's sessions: list them, end one, or all."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from relay.api.auth import OwnSession, Services
from relay.api.errors import not_found
from relay.api.ids import BrowserId

router = APIRouter()


class SessionOut(BaseModel):
    """One session; `is_this` marks the caller's own."""

    id: str
    browser: str
    address: str
    created_ms: int
    seen_ms: int
    expires_ms: int
    is_this: bool


class SessionsOut(BaseModel):
    """All of an owner's sessions, the last seen first."""

    sessions: list[SessionOut]


@router.get("/sessions")
async def list_sessions(services: Services, own: OwnSession) -> SessionsOut:
    """Return the owner's sessions."""
    found = await services.sessions.list_of(own.account.id)
    return SessionsOut(
        sessions=[
            SessionOut(
                id=one.id,
                browser=one.browser,
                address=one.address,
                created_ms=one.created_ms,
                seen_ms=one.seen_ms,
                expires_ms=one.expires_ms,
                is_this=one.id == own.id,
            )
            for one in found
        ]
    )


@router.delete("/sessions", status_code=204)
async def end_all(services: Services, own: OwnSession, keep_this: bool = False) -> Response:
    """Sign out everywhere, or everywhere else."""
    await services.sessions.end_all(own.account.id, but=own.id if keep_this else None)
    return Response(status_code=204)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_one(services: Services, own: OwnSession, session_id: str) -> Response:
    """End one of one's own sessions."""
    if not await services.sessions.end_one(own.account.id, session_id):
        raise not_found("session of yours")
    return Response(status_code=204)


@router.put("/session/browser/{browser}", status_code=204)
async def name_browser(services: Services, own: OwnSession, browser: BrowserId) -> Response:
    """Say which of the caller's browsers this session is in."""
    await services.sessions.set_browser(own, browser)
    return Response(status_code=204)


@router.delete("/browsers/{browser}", status_code=204)
async def end_browser(services: Services, own: OwnSession, browser: BrowserId) -> Response:
    """End the caller's sessions in one browser, and pushes to it: it was lost."""
    await services.sessions.end_browser(own.account.id, browser)
    return Response(status_code=204)
