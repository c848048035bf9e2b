"""Deletion of the caller's own account, after a fresh check of its passkey."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header
from pydantic import BaseModel

from relay.api.accounts import CeremonyOut, CredentialIn
from relay.api.auth import Calling, OwnSession, Services
from relay.api.errors import ApiError

router = APIRouter()

CONFIRMING = "delete-account"


class ReleaseOut(BaseModel):
    """A release that stays in the custody log."""

    commitment: str
    committed_ms: int
    entry: int | None


class PackageOut(BaseModel):
    """A package that stays; `code` finds its agency's answer in the custody log."""

    code: str
    agency: str
    request_id: str
    state: str
    at_ms: int
    asked_ms: int | None
    answer_by_ms: int | None
    is_answered: bool
    asked_entry: int | None


class DoorbellOut(BaseModel):
    """What stays of a doorbell that the account follows."""

    device: str
    other_accounts: int
    releases: list[ReleaseOut]
    packages: list[PackageOut]


class PreviewOut(BaseModel):
    """How many rows of which kind would go, and what would stay."""

    deleted: dict[str, int]
    doorbells: list[DoorbellOut]


class ReceiptOut(PreviewOut):
    """What went, and what stays."""

    v: int
    kind: str
    relay: str
    deleted_ms: int


@router.get("/account/deletion")
async def preview(services: Services, own: OwnSession) -> PreviewOut:
    """Return what would go with the caller's account, and what would stay."""
    found = await services.account_deletion.preview(own.account)
    return PreviewOut(**_built(found))


@router.post("/account/deletion/options")
async def begin(
    services: Services, own: OwnSession, origin: Annotated[str, Header()] = ""
) -> CeremonyOut:
    """Begin a fresh passkey check before the account is deleted."""
    started = await services.ceremonies.start_confirming(CONFIRMING, own.id, origin)
    return CeremonyOut(session=started.ceremony_id, options=started.options)


@router.post("/account/deletion")
async def delete(
    services: Services, own: OwnSession, body: CredentialIn, caller: Calling
) -> ReceiptOut:
    """Delete the caller's account, and return the receipt; the session is over then."""
    proved = await services.ceremonies.finish_confirming(
        CONFIRMING, own.id, body.session, body.credential, caller
    )
    if proved.id != own.account.id:
        raise ApiError(403, "passkey", "that passkey is another account's; use your own")
    receipt = await services.account_deletion.delete(own.account)
    if receipt is None:
        raise ApiError(401, "unauthenticated", "this account is deleted already")
    return ReceiptOut(**_built(receipt))


def _built(document: object) -> dict[str, Any]:  # Any: JSON values
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built
