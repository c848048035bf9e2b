"""Administrators' pages of accounts: search, read, suspend, restore; each access is recorded."""

from starlette.requests import Request
from starlette.responses import Response

from relay.people.reads import MAX_QUERY_CHARS, MIN_QUERY_CHARS
from relay.web.admin.session import done, require_admin, require_admin_form, services_of
from relay.web.forms import text_in
from relay.web.json_responses import PageError, not_found

DONE = ("suspended", "restored")


async def search_page(request: Request) -> Response:
    """GET /admin/accounts?q=…: the search; without a query nothing is listed."""
    admin = await require_admin(request)
    services = services_of(request)
    query = request.query_params.get("q", "").strip()
    is_fit = MIN_QUERY_CHARS <= len(query) <= MAX_QUERY_CHARS
    return services.pages.render(
        request,
        "admin/accounts.html",
        csrf=admin.csrf,
        query=query[:MAX_QUERY_CHARS],
        is_fit=is_fit,
        min_chars=MIN_QUERY_CHARS,
        max_chars=MAX_QUERY_CHARS,
        found=await services.reads.search(admin.account, query) if is_fit else None,
    )


async def show_page(request: Request) -> Response:
    """GET /admin/accounts/{account_id}."""
    admin = await require_admin(request)
    services = services_of(request)
    account = await services.reads.open_account(admin.account, request.path_params["account_id"])
    if account is None:
        raise not_found("account")
    what = request.query_params.get("done")
    return services.pages.render(
        request,
        "admin/account.html",
        csrf=admin.csrf,
        account=account,
        done=what if what in DONE else None,
    )


async def suspend(request: Request) -> Response:
    """POST /admin/accounts/{account_id}/suspend: signs it out everywhere; `is_sure` is ticked."""
    admin, form = await require_admin_form(request)
    account_id: str = request.path_params["account_id"]
    if text_in(form, "is_sure") != "yes":
        raise PageError(422, "unsure", "tick that you mean it, then suspend the account")
    if not await services_of(request).reads.suspend(admin.account, account_id):
        raise not_found("account")
    return done(f"/admin/accounts/{account_id}", "suspended")


async def restore(request: Request) -> Response:
    """POST /admin/accounts/{account_id}/restore."""
    admin, _ = await require_admin_form(request)
    account_id: str = request.path_params["account_id"]
    if not await services_of(request).reads.restore(admin.account, account_id):
        raise not_found("account")
    return done(f"/admin/accounts/{account_id}", "restored")
