"""An owner's list of administrators' accesses to their account."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from relay.api.auth import Owner, Services

router = APIRouter()


class ReadOut(BaseModel):
    """One access: which administrator, by name, to what and when."""

    admin: str
    what: Literal["account", "found", "suspended", "restored"]
    read_ms: int


class ReadsOut(BaseModel):
    """The newest accesses, newest first."""

    reads: list[ReadOut]


@router.get("/reads")
async def list_reads(services: Services, owner: Owner) -> ReadsOut:
    """Return administrators' accesses to this account."""
    reads = []
    for one in await services.reads.of_account(owner.id):
        match one.what:
            case "account" | "found" | "suspended" | "restored" as what:
                reads.append(ReadOut(admin=one.admin, what=what, read_ms=one.read_ms))
            case _:
                pass  # an officer's
    return ReadsOut(reads=reads)
