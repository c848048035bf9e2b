"""Request bodies of passkey registration and sign-in, the same at every face."""

from typing import Any

from starlette.responses import JSONResponse

from firmware.protocol.encoding import Document
from relay.people.ceremonies import Started


class RegisterOptionsIn(Document, frozen=True, kw_only=True):
    """A new person's name and invitation."""

    invitation: str
    name: str


class LoginOptionsIn(Document, frozen=True, kw_only=True):
    """An empty document: the browser knows its passkeys."""


class CredentialIn(Document, frozen=True, kw_only=True):
    """What navigator.credentials returned, by its own toJSON()."""

    session: str
    credential: dict[str, Any]  # Any: WebAuthn's own JSON


def started_json(started: Started) -> JSONResponse:
    """Return a started ceremony as JSON for the page's module."""
    return JSONResponse({"session": started.ceremony_id, "options": started.options})
