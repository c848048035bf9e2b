"""The moderators' pages of the neighbours' feed: the queue, one post, and the decision.

Who wrote a post isn't shown.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from relay.base.appeal_verdicts import NO_VERDICT, verdict_of
from relay.feed.moderation import PostCase
from relay.feed.rules import MAX_WORDS_CHARS, REASONS, FeedRefused, as_reason
from relay.feed.text_hints import hints_on_post
from relay.map.cells import centre_of
from relay.web.admin.session import (
    Admin,
    AdminRoute,
    done,
    get,
    post,
    require_admin,
    require_admin_form,
    services_of,
)
from relay.web.forms import text_in
from relay.web.json_responses import not_found

NEAR_KM = 10
DONE = ("published", "refused", "upheld", "overturned")
STATUSES = {"state": 409, "moderator": 403}
JPEG_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def feed_routes() -> list[AdminRoute]:
    """Return these pages' routes."""
    return [
        get("/admin/feed", queue_page),
        get("/admin/feed/pictures/{picture_id}", picture),
        get("/admin/feed/{post_id}", show_page),
        post("/admin/feed/{post_id}/decision", decide),
        post("/admin/feed/{post_id}/appeal", decide_appeal),
    ]


async def queue_page(request: Request) -> Response:
    """GET /admin/feed: the posts and the appeals that wait, the oldest first."""
    admin = await require_admin(request)
    services = services_of(request)
    moderation = services.feed.moderation
    what = request.query_params.get("done")
    rows, count = await moderation.waiting(admin.account.id)
    return services.pages.render(
        request,
        "admin/feed.html",
        csrf=admin.csrf,
        rows=rows,
        count=count,
        appeals=await moderation.appeals(admin.account.id),
        districts={one.id: one.name for one in services.feed.districts},
        has_districts=len(services.feed.districts) > 0,
        now_ms=services.clock.wall_ms(),
        done=what if what in DONE else None,
    )


async def show_page(request: Request) -> Response:
    """GET /admin/feed/{post_id}: one post for a moderator's decision."""
    admin = await require_admin(request)
    return _show(request, admin, await _case(request, admin))


async def picture(request: Request) -> Response:
    """GET /admin/feed/pictures/{picture_id}: a post's picture, in any state."""
    await require_admin(request)
    pictures = services_of(request).feed.pictures
    found = await pictures.find_moderated(request.path_params["picture_id"])
    if found is None:
        raise not_found("picture")
    return Response(found, media_type="image/jpeg", headers=JPEG_HEADERS)


async def decide(request: Request) -> Response:
    """POST /admin/feed/{post_id}/decision: `verdict`, and a refusal's `reason` and `words`."""
    admin, form = await require_admin_form(request)
    moderation, post_id = services_of(request).feed.moderation, (await _case(request, admin)).row.id
    verdict, reason = text_in(form, "verdict"), text_in(form, "reason")
    words, is_urgent = text_in(form, "words"), text_in(form, "is_urgent") == "yes"
    try:
        if verdict == "published":
            await moderation.publish(post_id, moderator=admin.account.id, is_urgent=is_urgent)
        elif verdict == "refused":
            await moderation.refuse(
                post_id, as_reason(reason), words=words, moderator=admin.account.id
            )
        else:
            raise FeedRefused("words", "a moderator publishes or refuses a post")
    except FeedRefused as error:
        return await _again(request, admin, error, {"reason": reason, "words": words})
    return done("/admin/feed", verdict)


async def decide_appeal(request: Request) -> Response:
    """POST /admin/feed/{post_id}/appeal: `verdict` and `words`, by another moderator."""
    admin, form = await require_admin_form(request)
    post_id = (await _case(request, admin)).row.id
    told, words = text_in(form, "verdict"), text_in(form, "words")
    try:
        verdict = verdict_of(told)
        if verdict is None:
            raise FeedRefused("words", NO_VERDICT)
        await services_of(request).feed.moderation.decide_appeal(
            post_id, verdict, words=words, moderator=admin.account.id
        )
    except FeedRefused as error:
        return await _again(request, admin, error, {"reason": "", "words": words})
    return done("/admin/feed", verdict)


async def _case(request: Request, admin: Admin) -> PostCase:
    moderation = services_of(request).feed.moderation
    case = await moderation.find(request.path_params["post_id"], admin.account.id)
    if case is None:
        raise not_found("post")
    return case


async def _again(
    request: Request, admin: Admin, error: FeedRefused, typed: dict[str, str]
) -> Response:
    """Show the post's current state again, with the typed text and the refusal."""
    status = STATUSES.get(error.name, 422)
    problem = {"code": error.name, "message": str(error)}
    return _show(
        request, admin, await _case(request, admin), status=status, problem=problem, typed=typed
    )


def _show(
    request: Request,
    admin: Admin,
    case: PostCase,
    *,
    status: int = 200,
    **more: Any,  # Any: what the template shows
) -> Response:
    services = services_of(request)
    row = case.row
    district = services.feed.districts.find(row.district)
    near = services.places.nearest([centre_of(row.cell)], NEAR_KM)[0]
    context = {"problem": None, "typed": {"reason": "", "words": ""}} | more
    return services.pages.render(
        request,
        "admin/feed_post.html",
        status=status,
        csrf=admin.csrf,
        case=case,
        row=row,
        district_name=row.district if district is None else district.name,
        near=near,
        reasons=REASONS,
        hints=hints_on_post(row.text),
        max_words=MAX_WORDS_CHARS,
        now_ms=services.clock.wall_ms(),
        is_own_refusal=any(
            one.verdict == "refused" and one.moderator == admin.account.id for one in case.decisions
        ),
        **context,
    )
