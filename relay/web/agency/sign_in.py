"""Sign in, join by invitation, sign out, and officers' certificates."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.register.entries import ChangeLeaf
from firmware.protocol.requests import SignedCertificate
from relay.agency.agencies import standing_of
from relay.agency.reminders import days_left
from relay.people.ceremonies import SignedIn
from relay.request.published import count_open
from relay.store.people import Account
from relay.web.agency.arrived import list_arrived
from relay.web.agency.session import (
    COOKIE,
    check_origin,
    clear_session,
    find_officer,
    is_before_first_day,
    require_known,
    require_officer,
    require_session_post,
    services_of,
    set_session,
)
from relay.web.answers import not_found, read_json
from relay.web.callers import calling
from relay.web.ceremony_forms import (
    CredentialIn,
    LoginOptionsIn,
    RegisterOptionsIn,
    started_json,
)


async def sign_in_page(request: Request, *, status: int = 200) -> Response:
    """Return the page for whoever isn't signed in."""
    services = services_of(request)
    found = [await services.agencies.find(agency) for agency in services.oidc.agencies]
    return services.pages.render(
        request,
        "agency/sign_in.html",
        status=status,
        has_demo_passkeys=services.site.has_demo_passkeys,
        providers=sorted((one for one in found if one is not None), key=lambda one: one.name),
    )


async def home(request: Request) -> Response:
    """GET /agency: the dashboard, or sign in."""
    services = services_of(request)
    officer = await find_officer(request)
    if officer is None:
        return await sign_in_page(request)
    view = await services.agencies.view()
    standing = standing_of(view, officer.agency.id, officer.account.id)
    return services.pages.render(
        request,
        "agency/dashboard.html",
        csrf=officer.csrf,
        officer=officer,
        is_open=not is_before_first_day(officer.agency) and standing.state != "revoked",
        standing=standing,
        days_left=days_left(view, officer.agency.id),
        has_passkey=await services.staff.has_passkey(officer.account),
        open_count=count_open(view, officer.agency.id),
        to_cosign=await services.desk.list_to_cosign(officer.account),
        package_count=len(await list_arrived(services, officer.agency.id, view)),
    )


async def join(request: Request) -> Response:
    """GET /agency/join?invitation=…: the page on which an officer adds their passkey."""
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/join.html",
        invitation=request.query_params.get("invitation", ""),
        has_demo_passkeys=services.site.has_demo_passkeys,
    )


async def register_options(request: Request) -> Response:
    """POST /agency/register/options."""
    check_origin(request)
    body = await read_json(request, RegisterOptionsIn)
    ceremonies = services_of(request).ceremonies
    return started_json(await ceremonies.start_registration(body.invitation, body.name))


async def register_verify(request: Request) -> Response:
    """POST /agency/register/verify: sets the cookie."""
    check_origin(request)
    body = await read_json(request, CredentialIn)
    ceremonies = services_of(request).ceremonies
    caller = calling(request)
    return _signed_in(
        request, await ceremonies.finish_registration(body.session, body.credential, caller)
    )


async def login_options(request: Request) -> Response:
    """POST /agency/login/options."""
    check_origin(request)
    await read_json(request, LoginOptionsIn)
    return started_json(await services_of(request).ceremonies.start_login())


async def login_verify(request: Request) -> Response:
    """POST /agency/login/verify: sets the cookie."""
    check_origin(request)
    body = await read_json(request, CredentialIn)
    ceremonies = services_of(request).ceremonies
    caller = calling(request)
    return _signed_in(request, await ceremonies.finish_login(body.session, body.credential, caller))


async def passkey_page(request: Request) -> Response:
    """GET /agency/passkey: for whoever signed in otherwise and has none to sign requests with."""
    officer = await require_officer(request)
    services = services_of(request)
    if await services.staff.has_passkey(officer.account):
        raise not_found("passkey to add")
    return services.pages.render(
        request,
        "agency/passkey.html",
        csrf=officer.csrf,
        officer=officer,
        has_demo_passkeys=services.site.has_demo_passkeys,
    )


async def passkey_options(request: Request) -> Response:
    """POST /agency/passkey/options."""
    officer = await require_officer(request)
    await read_json(request, LoginOptionsIn)
    return started_json(await services_of(request).ceremonies.start_adding(officer.account))


async def passkey_verify(request: Request) -> Response:
    """POST /agency/passkey/verify: the passkey that the agency then certifies."""
    officer = await require_officer(request)
    body = await read_json(request, CredentialIn)
    ceremonies = services_of(request).ceremonies
    key = await ceremonies.finish_adding(officer.account, body.session, body.credential)
    return JSONResponse(_officer_file(officer.account, key))


async def logout(request: Request) -> Response:
    """POST /agency/logout."""
    await require_session_post(request)
    await services_of(request).sessions.end(request.cookies[COOKIE])
    response = JSONResponse({"ok": True})
    clear_session(response)
    return response


async def put_certificate(request: Request) -> Response:
    """POST /agency/officers/{officer_id}/certificate: the agency's signature authorises."""
    signed = await read_json(request, SignedCertificate)
    officer_id = request.path_params["officer_id"]
    await services_of(request).agencies.take_certificate(officer_id, signed)
    return JSONResponse({"ok": True}, status_code=201)


async def revoke(request: Request) -> Response:
    """POST /agency/officers/{officer_id}/revocation: the agency's signature authorises."""
    leaf = await read_json(request, ChangeLeaf)
    officer_id = request.path_params["officer_id"]
    await services_of(request).agencies.take_revocation(officer_id, leaf)
    return JSONResponse({"ok": True}, status_code=201)


async def list_uncertified(request: Request) -> Response:
    """GET /agency/officers: colleagues who wait for the agency's certificate."""
    officer = await require_officer(request)
    waiting = await services_of(request).agencies.uncertified(officer.agency.id)
    return JSONResponse({"officers": [msgspec.to_builtins(colleague) for colleague in waiting]})


async def get_officer(request: Request) -> Response:
    """GET /agency/officers/{officer_id}: the officer's own certificate and its state."""
    officer = await require_known(request)
    services = services_of(request)
    if request.path_params["officer_id"] != officer.account.id:
        raise not_found("officer")
    view = await services.agencies.view()
    standing = standing_of(view, officer.agency.id, officer.account.id)
    return JSONResponse(
        {
            "officer_id": officer.account.id,
            "name": officer.account.name,
            "agency": officer.agency.id,
            "certificate": standing.state,
            "role": standing.role,
            "counts_from_ms": standing.counts_from_ms,
            "signed": None if standing.signed is None else msgspec.to_builtins(standing.signed),
        }
    )


def _signed_in(request: Request, signed_in: SignedIn) -> JSONResponse:
    response = JSONResponse(_officer_file(signed_in.account, signed_in.passkey))
    set_session(request, response, signed_in.token)
    return response


def _officer_file(account: Account, key: PasskeyKey) -> dict[str, Any]:  # Any: JSON
    """Return what an officer gives to whoever holds the agency's key."""
    return {
        "officer": {
            "officer_id": account.id,
            "name": account.name,
            "passkey": {
                "credential_id": key.credential_id,
                "public_key": key.public_key,
                "rp_id": key.rp_id,
                "origin": key.origin,
            },
        }
    }
