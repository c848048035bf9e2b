"""Pages that link an account with the agency's own sign-in, unlink it, or merge two accounts.

The way to the provider is oidc.py's; its cookie ties each step to the browser that began, and what
the provider said is confirmed here, since the session's cookie doesn't come along from its site.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from relay.web.agency.oidc import COOKIE, clear_binding, set_binding
from relay.web.agency.session import FACE, get, post, require_officer, services_of
from relay.web.callers import caller_of_request
from relay.web.ceremony_forms import CredentialIn, LoginOptionsIn, started_json
from relay.web.json_responses import not_found, read_json

PATH: Final = "/agency/oidc/link"
DONE: Final = ("linked", "unlinked", "merged")


async def page(request: Request) -> Response:
    """GET /agency/oidc/link: the account's sign-in methods, and their possible changes."""
    officer = await require_officer(request)
    services = services_of(request)
    ways = await services.links.ways_of(officer.account)
    if ways is None:
        raise not_found("sign-in of your agency's own")
    binding, done = request.cookies.get(COOKIE, ""), request.query_params.get("done")
    return services.pages.render(
        request,
        "agency/linking.html",
        csrf=officer.csrf,
        officer=officer,
        ways=ways,
        found=await services.links.find(binding, officer.account, officer.session_id),
        merging=await services.links.find_merge(binding, officer.account, officer.session_id),
        done=done if done in DONE else None,
        has_demo_passkeys=services.site.has_demo_passkeys,
    )


async def link_options(request: Request) -> Response:
    """POST /agency/oidc/link/options: start a fresh passkey check."""
    return await _ask_for_passkey(request, "link")


async def link_verify(request: Request) -> Response:
    """POST /agency/oidc/link/verify: the agency's sign-in URL; sets its cookie."""
    officer = await require_officer(request)
    body = await read_json(request, CredentialIn)
    services = services_of(request)
    proved = await services.ceremonies.finish_confirming(
        "link", officer.session_id, body.session, body.credential, caller_of_request(request)
    )
    started = await services.links.start(officer.account, officer.session_id, proved=proved)
    response = JSONResponse({"url": started.url})
    set_binding(request, response, started.binding)
    return response


async def confirm(request: Request) -> Response:
    """POST /agency/oidc/link/confirm: link the found subject."""
    officer = await require_officer(request)
    binding = request.cookies.get(COOKIE, "")
    await services_of(request).links.confirm(binding, officer.account, officer.session_id)
    response = RedirectResponse(f"{PATH}?done=linked", status_code=303)
    clear_binding(response)
    return response


async def unlink(request: Request) -> Response:
    """POST /agency/oidc/link/end: unlink, and end all other sessions."""
    officer = await require_officer(request)
    await services_of(request).links.unlink(officer.account, officer.session_id)
    return RedirectResponse(f"{PATH}?done=unlinked", status_code=303)


async def merge_options(request: Request) -> Response:
    """POST /agency/oidc/merge/options: start a check of the other account's passkey."""
    return await _ask_for_passkey(request, "merge")


async def merge_verify(request: Request) -> Response:
    """POST /agency/oidc/merge/verify: the page then names the passkey's account to confirm."""
    officer = await require_officer(request)
    body = await read_json(request, CredentialIn)
    services = services_of(request)
    into = await services.ceremonies.finish_confirming(
        "merge", officer.session_id, body.session, body.credential, caller_of_request(request)
    )
    binding = await services.links.start_merge(officer.account, officer.session_id, into=into)
    response = JSONResponse({"url": PATH})
    set_binding(request, response, binding)
    return response


async def merge_confirm(request: Request) -> Response:
    """POST /agency/oidc/merge/confirm: merge, and set the remaining account's cookie."""
    officer = await require_officer(request)
    binding = request.cookies.get(COOKIE, "")
    token = await services_of(request).links.merge(
        binding, officer.account, officer.session_id, caller_of_request(request)
    )
    response = RedirectResponse(f"{PATH}?done=merged", status_code=303)
    FACE.set_session(request, response, token)
    clear_binding(response)
    return response


async def _ask_for_passkey(request: Request, what: str) -> Response:
    officer = await require_officer(request)
    await read_json(request, LoginOptionsIn)
    ceremonies = services_of(request).ceremonies
    return started_json(await ceremonies.start_confirming(what, officer.session_id))


ROUTES: Final = (
    get(PATH, page, "own.ways"),
    post(f"{PATH}/options", link_options, "own.ways"),
    post(f"{PATH}/verify", link_verify, "own.ways"),
    post(f"{PATH}/confirm", confirm, "own.ways"),
    post(f"{PATH}/end", unlink, "own.ways"),
    post("/agency/oidc/merge/options", merge_options, "own.ways"),
    post("/agency/oidc/merge/verify", merge_verify, "own.ways"),
    post("/agency/oidc/merge/confirm", merge_confirm, "own.ways"),
)
