"""Officers' sign-in, first passkey and certificates; relay/web/face.py has the passkey steps."""

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.protocol.register.entries import ChangeLeaf
from firmware.protocol.requests import SignedCertificate
from relay.agency.agencies import standing_of
from relay.web.agency.session import (
    FACE,
    officer_file,
    require_known,
    require_officer,
    require_session_post,
    services_of,
)
from relay.web.ceremony_forms import CredentialIn, LoginOptionsIn, started_json
from relay.web.json_responses import not_found, read_json


async def sign_in_page(request: Request, *, status: int = 200) -> Response:
    """Return the sign-in page."""
    services = services_of(request)
    found = [await services.agencies.find(agency) for agency in services.oidc.agencies]
    return services.pages.render(
        request,
        "agency/sign_in.html",
        status=status,
        has_demo_passkeys=services.site.has_demo_passkeys,
        providers=sorted((one for one in found if one is not None), key=lambda one: one.name),
    )


async def passkey_page(request: Request) -> Response:
    """GET /agency/passkey: the page to add a first passkey, for signing requests."""
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
    """POST /agency/passkey/verify: add the passkey, which the agency then certifies."""
    officer = await require_officer(request)
    body = await read_json(request, CredentialIn)
    ceremonies = services_of(request).ceremonies
    key = await ceremonies.finish_adding(officer.account, body.session, body.credential)
    return JSONResponse(officer_file(officer.account, key))


async def own_file(request: Request) -> Response:
    """GET /agency/officer.json: the file for the holder of the agency's key."""
    officer = await require_officer(request)
    key = await services_of(request).staff.find_passkey(officer.account)
    if key is None:
        raise not_found("passkey of yours")
    headers = {
        "Content-Disposition": 'attachment; filename="officer.json"',
        "Cache-Control": "no-store",
    }
    return JSONResponse(officer_file(officer.account, key)["officer"], headers=headers)


async def logout(request: Request) -> Response:
    """POST /agency/logout."""
    await require_session_post(request)
    return await FACE.sign_out(request)


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
