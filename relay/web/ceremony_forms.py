"""What a page's module sends to register a passkey or to sign in: at every face with passkeys."""

from typing import Any

from starlette.responses import JSONResponse

from firmware.protocol.encoding import Document
from relay.people.ceremonies import Started


class RegisterOptionsIn(Document, frozen=True, kw_only=True):
    """Who wants to register, and by which invitation."""

    invitation: str
    name: str


class LoginOptionsIn(Document, frozen=True, kw_only=True):
    """Nothing: the browser knows its passkeys."""


class CredentialIn(Document, frozen=True, kw_only=True):
    """What navigator.credentials returned, by its own toJSON()."""

    session: str
    credential: dict[str, Any]  # Any: WebAuthn's own JSON


def started_json(started: Started) -> JSONResponse:
    """Return the first half of a ceremony as the module reads it."""
    return JSONResponse({"session": started.ceremony_id, "options": started.options})
