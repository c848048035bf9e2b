"""Pages of an agency's presets for its request forms: its templates and saved areas."""

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from firmware.protocol.encoding import Document, decode
from relay.agency.agencies import officers_of
from relay.request.drafts import DraftForm
from relay.request.presets import (
    MAX_NAME_CHARS,
    MAX_PRESETS,
    Preset,
    PresetContent,
    PresetList,
    PresetName,
    PresetRefused,
    SavedArea,
)
from relay.web.agency.session import (
    GuardedRoute,
    Officer,
    get,
    post,
    require_officer,
    require_officer_post,
    services_of,
)
from relay.web.forms import form_of, text_in
from relay.web.json_responses import read_json

NO_PRESETS = PresetList(templates=[], areas=[])


class SavePresetIn(Document, frozen=True, kw_only=True):
    """A template or an area to keep."""

    name: PresetName
    content: PresetContent


class _NameIn(Document, frozen=True, kw_only=True):
    name: PresetName


async def list_page(request: Request) -> Response:
    """GET /agency/presets."""
    officer = await require_officer(request)
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/presets.html",
        csrf=officer.csrf,
        officer=officer,
        presets=await services.presets.list(officer.agency.id),
        most=MAX_PRESETS,
        max_name_chars=MAX_NAME_CHARS,
    )


async def save(request: Request) -> Response:
    """POST /agency/presets."""
    officer = await require_officer_post(request)
    body = await read_json(request, SavePresetIn)
    preset_id = await services_of(request).presets.save(
        officer.agency.id,
        body.name.strip(),
        body.content,
        officers=await _officers(request, officer),
        jurisdiction=officer.agency.agreement.cells,
    )
    return JSONResponse({"id": preset_id}, status_code=201)


async def show(request: Request) -> Response:
    """GET /agency/presets/{preset_id}: what a form is filled in with."""
    officer = await require_officer(request)
    preset_id = request.path_params["preset_id"]
    found = await services_of(request).presets.find(officer.agency.id, preset_id)
    return JSONResponse({"name": found.name, "content": msgspec.to_builtins(found.content)})


async def rename(request: Request) -> Response:
    """POST /agency/presets/{preset_id}/rename, by a plain form."""
    officer = await require_officer_post(request)
    presets, preset_id = services_of(request).presets, request.path_params["preset_id"]
    await presets.find(officer.agency.id, preset_id)
    form = await form_of(request)
    told = decode(_NameIn, msgspec.json.encode({"name": text_in(form, "name")}))
    await presets.rename(
        officer.agency.id,
        preset_id,
        told.name,
        officers=await _officers(request, officer),
    )
    return RedirectResponse("/agency/presets", status_code=303)


async def remove(request: Request) -> Response:
    """POST /agency/presets/{preset_id}/remove, by a plain form in which `is_sure` is ticked."""
    officer = await require_officer_post(request)
    presets, preset_id = services_of(request).presets, request.path_params["preset_id"]
    await presets.find(officer.agency.id, preset_id)
    if text_in(await form_of(request), "is_sure") != "yes":
        raise PresetRefused("unsure", "tick that it is to be removed for everybody")
    await presets.remove(officer.agency.id, preset_id)
    return RedirectResponse("/agency/presets", status_code=303)


async def presets_of(request: Request, officer: Officer) -> PresetList:
    """Return the presets that an officer may choose from."""
    if not officer.may("presets"):
        return NO_PRESETS
    return await services_of(request).presets.list(officer.agency.id)


def filled_in(form: DraftForm, preset: Preset) -> DraftForm:
    """Return a form with a preset's fields."""
    content = preset.content
    if isinstance(content, SavedArea):
        return msgspec.structs.replace(form, cells=content.cells)
    return msgspec.structs.replace(
        form,
        text=content.text,
        incident_type=content.incident_type,
        retention_days=content.retention_days,
        onward_sharing=content.onward_sharing,
    )


async def _officers(request: Request, officer: Officer) -> list[str]:
    view = await services_of(request).agencies.view()
    return [one.name for one in officers_of(view, officer.agency.id)]


ROUTES: list[GuardedRoute] = [
    get("/agency/presets", list_page, "presets"),
    post("/agency/presets", save, "presets"),
    get("/agency/presets/{preset_id}", show, "presets"),
    post("/agency/presets/{preset_id}/rename", rename, "presets"),
    post("/agency/presets/{preset_id}/remove", remove, "presets"),
]
