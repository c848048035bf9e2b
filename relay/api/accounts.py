"""Registration, login and logout of owners."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from relay.api.auth import PUBLIC, Calling, Services, Token
from relay.people.ceremonies import SignedIn, Started
from relay.people.sessions import SESSION_LIFE_MS

router = APIRouter()


class RegisterOptionsIn(BaseModel):
    """A new owner's name and invitation."""

    model_config = ConfigDict(extra="forbid")
    invitation: str = Field(max_length=200)
    name: str = Field(max_length=200)


class LoginOptionsIn(BaseModel):
    """An empty document: the browser knows its passkeys."""

    model_config = ConfigDict(extra="forbid")


class CredentialIn(BaseModel):
    """What navigator.credentials returned, by its own toJSON()."""

    model_config = ConfigDict(extra="forbid")
    session: str = Field(max_length=64)
    credential: dict[str, Any]  # Any: WebAuthn's own JSON


class CeremonyOut(BaseModel):
    """`options` is for navigator.credentials, `session` for the second step."""

    session: str
    options: dict[str, Any]  # Any: WebAuthn's own JSON


class OwnerOut(BaseModel):
    """An owner's public half."""

    name: str
    credential_id: str
    public_key: str
    rp_id: str
    origin: str


class SignedInOut(BaseModel):
    """The token for `Authorization: Bearer`, for how long at most, and who is signed in."""

    token: str
    lasts_ms: int
    owner: OwnerOut


class ConfigOut(BaseModel):
    """The relay's configuration for the app before sign-in."""

    demo_passkeys: bool
    owner_origin: str
    owner_rp_id: str
    relay_name: str
    example_town: str
    """The logs' name where that is an invented town's; else empty."""


@router.get("/config", openapi_extra=PUBLIC)
async def config(services: Services) -> ConfigOut:
    """Return this relay's public configuration."""
    return ConfigOut(
        demo_passkeys=services.site.has_demo_passkeys,
        owner_origin=services.site.origin,
        owner_rp_id=services.site.rp_id,
        relay_name=services.relay_name,
        example_town=services.example_town,
    )


@router.post("/owner/register/options", openapi_extra=PUBLIC)
async def register_options(
    services: Services, body: RegisterOptionsIn, origin: Annotated[str, Header()] = ""
) -> CeremonyOut:
    """Begin a registration."""
    started = await services.ceremonies.start_registration(body.invitation, body.name, origin)
    return _started(started)


@router.post("/owner/register/verify", openapi_extra=PUBLIC)
async def register_verify(services: Services, body: CredentialIn, caller: Calling) -> SignedInOut:
    """Finish a registration."""
    ceremonies = services.ceremonies
    return _signed_in(await ceremonies.finish_registration(body.session, body.credential, caller))


@router.post("/owner/login/options", openapi_extra=PUBLIC)
async def login_options(
    services: Services, _body: LoginOptionsIn, origin: Annotated[str, Header()] = ""
) -> CeremonyOut:
    """Begin a login."""
    return _started(await services.ceremonies.start_login(origin))


@router.post("/owner/login/verify", openapi_extra=PUBLIC)
async def login_verify(services: Services, body: CredentialIn, caller: Calling) -> SignedInOut:
    """Finish a login."""
    ceremonies = services.ceremonies
    return _signed_in(await ceremonies.finish_login(body.session, body.credential, caller))


@router.delete("/session", status_code=204)
async def logout(services: Services, token: Token) -> Response:
    """Sign out."""
    await services.sessions.end(token)
    return Response(status_code=204)


def _started(started: Started) -> CeremonyOut:
    return CeremonyOut(session=started.ceremony_id, options=started.options)


def _signed_in(signed_in: SignedIn) -> SignedInOut:
    key = signed_in.passkey
    return SignedInOut(
        token=signed_in.token,
        lasts_ms=SESSION_LIFE_MS["owner"],
        owner=OwnerOut(
            name=signed_in.account.name,
            credential_id=key.credential_id,
            public_key=key.public_key,
            rp_id=key.rp_id,
            origin=key.origin,
        ),
    )
