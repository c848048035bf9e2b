"""The request form: its page, its checks before signing, and its map's data.

The form works without JavaScript up to the signature, which needs a passkey and so JavaScript: it
is checked, and kept as a draft. No page or answer here knows how many doorbells are where.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from firmware.protocol.encoding import Document
from firmware.protocol.requests import INCIDENT_TYPES
from relay.map.cells import cell_at, centre_of
from relay.map.places import Place
from relay.request.drafts import DraftForm
from relay.request.form_checks import FormReport, limit_values
from relay.request.presets import MAX_NAME_CHARS
from relay.web.agency.presets import filled_in, presets_of
from relay.web.agency.problem_texts import problem_text
from relay.web.agency.request_form_parser import read_draft_id, read_form, read_text, utc_field
from relay.web.agency.requests import signing
from relay.web.agency.session import (
    MAX_FORM_PARTS,
    Officer,
    require_officer,
    require_officer_post,
    services_of,
)
from relay.web.agency.visibility import seen_by_of
from relay.web.forms import form_of
from relay.web.i18n import Texts
from relay.web.json_responses import not_found, read_json
from relay.web.owner_texts import letter_words
from relay.web.security import page_policy

MAX_LISTED_CELLS = 200
MAX_SEARCH_CHARS = 100
DAY_S = 24 * 3600
CELL_DEGREES = 0.05
"""More than a cell reaches from its centre, anywhere an agency may be."""
NO_FORM = DraftForm()


class CheckIn(Document, frozen=True, kw_only=True):
    """A form to check."""

    form: DraftForm


async def new_page(request: Request) -> Response:
    """GET /agency/requests/new: the form, filled in from ?draft=ID and ?preset=ID."""
    officer = await require_officer(request)
    draft_id = request.query_params.get("draft", "")
    draft = None
    if draft_id:
        draft = await services_of(request).drafts.find(officer.account.id, draft_id)
    form = NO_FORM if draft is None else draft.form
    preset_id = request.query_params.get("preset", "")
    if preset_id and officer.may("presets"):
        preset = await services_of(request).presets.find(officer.agency.id, preset_id)
        form = filled_in(form, preset)
    return await _page(request, officer, form, draft_id="" if draft is None else draft.id)


async def post_form(request: Request) -> Response:
    """POST /agency/requests/new: check or save the form without JavaScript."""
    officer = await require_officer_post(request)
    data = await form_of(request, max_fields=MAX_FORM_PARTS)
    form, draft_id = read_form(data), read_draft_id(data)
    services = services_of(request)
    if read_text(data, "action") == "save":
        await services.drafts.save(officer.account.id, draft_id, form)
        return RedirectResponse("/agency/drafts", status_code=303)
    checked = await services.checking.check(officer.account, form, seen_by=seen_by_of(officer))
    return await _page(request, officer, form, draft_id=draft_id, checked=checked)


async def check(request: Request) -> Response:
    """POST /agency/requests/check: the form's problems and hints in the reader's language."""
    officer = await require_officer_post(request)
    body = await read_json(request, CheckIn)
    services = services_of(request)
    checked = await services.checking.check(officer.account, body.form, seen_by=seen_by_of(officer))
    values = limit_values((await services.agencies.view()).facts.limits)
    return JSONResponse(_said(checked, services.pages.texts(request), values))


async def area(request: Request) -> Response:
    """GET /agency/area: the agency's jurisdiction, which is public, and the map's sources."""
    officer = await require_officer(request)
    services = services_of(request)
    agreement = officer.agency.agreement
    limits = (await services.agencies.view()).facts.limits
    return JSONResponse(
        {
            "cells": agreement.cells,
            "names": await asyncio.to_thread(services.pages.areas.unique_names_of, agreement.cells),
            "merged": agreement.merged,
            "max_cells": limits.max_cells,
            "has_streets": services.maps.streets is not None,
            "attribution": services.maps.attribution,
            "has_places": len(services.maps.places) > 0,
        }
    )


async def search_places(request: Request) -> Response:
    """GET /agency/places?q=…: names of places, the agency's own first."""
    officer = await require_officer(request)
    asked = request.query_params.get("q", "")[:MAX_SEARCH_CHARS]
    places = services_of(request).maps.places
    is_inside = _inside(officer.agency.agreement.cells)
    found = await asyncio.to_thread(places.search, asked, is_inside)
    return JSONResponse(
        {
            "places": [
                {"name": place.name, "lat": place.lat, "lon": place.lon, "is_inside": inside}
                for place, inside in found
            ]
        }
    )


async def streets(request: Request) -> Response:
    """GET /agency/streets.pmtiles: the operator's file, in the parts that the map asks for."""
    await require_officer(request)
    path = services_of(request).maps.streets
    if path is None or not path.is_file():
        raise not_found("map of streets")
    headers = {"Cache-Control": f"private, max-age={DAY_S}"}
    return FileResponse(path, media_type="application/vnd.pmtiles", headers=headers)


def _inside(cells: Sequence[str]) -> Callable[[Place], bool]:
    """Return a fast predicate: whether a place lies in one of these cells."""
    known = frozenset(cells)
    centres = [centre_of(cell) for cell in cells]
    south, north = _span([lat for lat, _ in centres])
    west, east = _span([lon for _, lon in centres])

    def is_inside(place: Place) -> bool:
        is_near = south <= place.lat <= north and west <= place.lon <= east
        return is_near and cell_at(place.lat, place.lon) in known

    return is_inside


def _span(degrees: list[float]) -> tuple[float, float]:
    return min(degrees) - CELL_DEGREES, max(degrees) + CELL_DEGREES


async def _page(
    request: Request,
    officer: Officer,
    form: DraftForm,
    *,
    draft_id: str,
    checked: FormReport | None = None,
) -> Response:
    services = services_of(request)
    view = await services.agencies.view()
    limits = view.facts.limits
    texts = services.pages.texts(request)
    listed = officer.agency.agreement.cells[:MAX_LISTED_CELLS]
    response = services.pages.render(
        request,
        "agency/request_new.html",
        csrf=officer.csrf,
        officer=officer,
        is_text_fit=await services.agencies.has_fit_text(officer.agency),
        incident_types=INCIDENT_TYPES,
        limits=limits,
        limit_values=limit_values(limits),
        draft_id=draft_id,
        form=form,
        presets=await presets_of(request, officer),
        max_name_chars=MAX_NAME_CHARS,
        checked=None if checked is None else _said(checked, texts, limit_values(limits)),
        cells=[(cell, *centre_of(cell)) for cell in listed],
        owner_words={
            code: letter_words(one) for code, one in services.pages.every_language().items()
        },
        utc_field=utc_field,
        **signing(officer, view),
    )
    # MapLibre GL runs its own module as a worker.
    response.headers["Content-Security-Policy"] = page_policy(worker=True)
    return response


def _said(checked: FormReport, texts: Texts, values: Mapping[str, int]) -> dict[str, Any]:
    """Return the check's result with its texts."""
    return {
        "problems": [
            {
                "field": problem.field,
                "reason": problem.name,
                "text": problem_text(texts, problem, values),
            }
            for problem in checked.problems
        ],
        "hints": [
            asdict(hint) | {"text": texts(f"hint.{hint.category}", word=hint.word)}
            for hint in checked.hints
        ],
    }
