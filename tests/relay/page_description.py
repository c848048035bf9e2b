"""What the relay's pages take, as an OpenAPI document: made from the running app's own routes.

A route that nobody describes here gets any JSON and any form, so that none is left out.
"""

from typing import Any, Final

import msgspec

from firmware.protocol.claims import EnrolmentRequest
from firmware.protocol.custody import SignedDeletionAnswer
from firmware.protocol.register.entries import ChangeLeaf
from firmware.protocol.requests import SignedCertificate
from relay.web.agency import drafts, feed, outcomes, presets, request_form, requests
from relay.web.ceremony_forms import CredentialIn, LoginOptionsIn, RegisterOptionsIn
from tests.relay.http_world import API

Named = tuple[str, str]
Json = dict[str, Any]

REQUEST: Final = "/agency/requests/{request_id}"
PACKAGE: Final = "/agency/evidence/{package_id}"
FOR_AGENCIES: Final = "/for-agencies/{onboarding_id}"
CASE: Final = "/admin/onboardings/{onboarding_id}"
JSON_BODIES: Final[dict[str, Any]] = {
    "/enrol": EnrolmentRequest,
    **{
        f"/{face}/{step}": body
        for face in ("agency", "admin")
        for step, body in (
            ("register/options", RegisterOptionsIn),
            ("register/verify", CredentialIn),
            ("login/options", LoginOptionsIn),
            ("login/verify", CredentialIn),
        )
    },
    **{
        f"/agency/oidc/{what}/{step}": body
        for what in ("link", "merge")
        for step, body in (("options", LoginOptionsIn), ("verify", CredentialIn))
    },
    "/agency/passkey/options": LoginOptionsIn,
    "/agency/passkey/verify": CredentialIn,
    "/agency/officers/{officer_id}/certificate": SignedCertificate,
    "/agency/officers/{officer_id}/revocation": ChangeLeaf,
    "/agency/requests": requests.DraftIn,
    "/agency/requests/check": request_form.CheckIn,
    "/agency/drafts": drafts.SaveIn,
    "/agency/presets": presets.SavePresetIn,
    "/agency/feed": feed.PostIn,
    "/agency/feed/{post_id}/cosign": feed.CosignPostIn,
    f"{REQUEST}/cosign": requests.CosignIn,
    f"{REQUEST}/take-back": requests.TakeBackIn,
    f"{REQUEST}/withdraw": requests.WithdrawIn,
    f"{REQUEST}/outcome": outcomes.OutcomeIn,
    f"{PACKAGE}/deletion-answer": SignedDeletionAnswer,
}
FORMS: Final[dict[str, tuple[str, ...]]] = {
    "/town": ("ahead_ms", "step", "until_ms"),
    "/for-agencies": ("agency", "name", "email"),
    f"{FOR_AGENCIES}/code": ("code",),
    f"{FOR_AGENCIES}/code/again": (),
    f"{FOR_AGENCIES}/area": ("area", "action"),
    "/agency/oidc/link/confirm": (),
    "/agency/oidc/link/end": (),
    "/agency/oidc/merge/confirm": (),
    "/agency/sessions/end": ("session",),
    "/admin/sessions/end": ("session",),
    "/agency/staff/invitations": ("email",),
    "/agency/staff/{officer_id}/sessions/end": ("session",),
    "/agency/staff/{officer_id}/suspend": ("is_sure",),
    "/agency/staff/{officer_id}/restore": (),
    "/agency/settings": ("networks", "max_sessions"),
    "/agency/drafts/{draft_id}/delete": (),
    "/agency/presets/{preset_id}/rename": ("name",),
    "/agency/presets/{preset_id}/remove": ("is_sure",),
    "/agency/evidence/deletions": ("action", "package", "answer", "reason"),
    "/agency/requests/new": (
        *("action", "draft_id", "case_number", "incident_type", "text", "reason", "contact"),
        *("danger", "cells", "cell", "from", "to", "retention_days", "onward_sharing"),
        "cosigner",
    ),
    f"{REQUEST}/appeal": ("text",),
    f"{REQUEST}/again": (),
    "/admin/requests/{request_id}/decision": ("verdict", "category", "reason"),
    "/admin/requests/{request_id}/appeal": ("verdict", "reason"),
    "/admin/feed/{post_id}/decision": ("verdict", "reason", "words", "is_urgent"),
    "/admin/feed/{post_id}/appeal": ("verdict", "words"),
    "/admin/accounts/{account_id}/suspend": ("is_sure",),
    "/admin/accounts/{account_id}/restore": (),
    f"{CASE}/code": (),
    f"{CASE}/refuse": ("reason",),
    f"{CASE}/prepare": ("enrolment_sha256",),
}
FILES: Final[dict[str, str]] = {
    f"{FOR_AGENCIES}/enrolment": "file",
    f"{FOR_AGENCIES}/area": "file",
    f"{CASE}/signed": "file",
    f"{PACKAGE}/answer": "answer",
    "/agency/evidence/deletions": "signed",
}
"""Where files come in, and the form's field."""
QUERIES: Final[dict[str, tuple[str, ...]]] = {
    "/requests": ("case", "place", "agency", "state", "from", "to", "emergency", "owed"),
    "/agencies": ("name", "page"),
    "/entries": ("log", "kind", "agency", "detail", "quarter", "subject", "year", "overdue"),
    "/agreements/compare": ("agency", "from", "to"),
    "/agency/oidc/start": ("agency",),
    "/agency/oidc/callback": ("state", "code", "iss", "error"),
    "/agency/requests/new": ("draft", "preset"),
    "/agency/places": ("q",),
    f"{FOR_AGENCIES}/area/places": ("q",),
    "/admin/accounts": ("q",),
    "/neighbours/{district}": ("before",),
}
"""By how a path begins; every page also takes `page` and `lang`."""
TEXT: Final[Json] = {"type": "string", "maxLength": 300}
DAY: Final[Json] = {"anyOf": [{"type": "string", "format": "date"}, TEXT]}
COUNT: Final[Json] = {"anyOf": [{"type": "integer"}, TEXT]}
WORDS: Final[dict[str, Json]] = {
    "page": COUNT,
    "from": DAY,
    "to": DAY,
    "lang": {"enum": ["en", "sv", "xx"]},
    "retention_days": COUNT,
    "ahead_ms": COUNT,
    "max_sessions": COUNT,
    "step": {"enum": ["minutes", "batch", "day", "week", "year"]},
    "action": {"enum": ["save", "check", "look", "file", "draft", "answer", ""]},
    "area": {"anyOf": [{"enum": ["59, 18\n59.1, 18.1\n59, 18.1", "8928308280fffff"]}, TEXT]},
    "verdict": {"enum": ["passed", "published", "refused", "upheld", "overturned", ""]},
    "session": {"enum": ["", "a" * 16]},
    "log": {"enum": ["custody", "register", "capture", ""]},
    "place": {"anyOf": [{"enum": ["40.7,-74.0", "8928308280fffff", "91,181"]}, TEXT]},
}


def describe_pages(routes: list[Named]) -> Json:
    """Return the document of all routes outside the API."""
    bodies = sorted({kind.__name__: kind for kind in JSON_BODIES.values()}.items())
    template = "#/components/schemas/{name}"
    kinds = [kind for _, kind in bodies]
    refs, components = msgspec.json.schema_components(kinds, ref_template=template)
    schemas = {id(kind): ref for kind, ref in zip(kinds, refs, strict=True)}
    by_name = {kind.__name__: schemas[id(kind)] for kind in kinds}
    paths: dict[str, Json] = {}
    for method, path in routes:
        if not path.startswith(API):
            paths.setdefault(path, {})[method.lower()] = _operation(method, path, by_name)
    return {
        "openapi": "3.1.0",
        "info": {"title": "The relay's pages", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(method: str, path: str, schemas: dict[str, Json]) -> Json:
    names = [part.partition("}")[0] for part in path.split("{")[1:]]
    found: Json = {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {**TEXT, "minLength": 1}}
            for name in names
        ],
        "responses": {"200": {"description": "done"}},
    }
    if method == "GET":
        asked = [name for begin, more in QUERIES.items() if path.startswith(begin) for name in more]
        found["parameters"] += [
            {"name": name, "in": "query", "schema": WORDS.get(name, TEXT)}
            for name in dict.fromkeys(["page", "lang", *asked])
        ]
    else:
        found["requestBody"] = {"required": True, "content": _content(path, schemas)}
    return found


def _content(path: str, schemas: dict[str, Json]) -> Json:
    if path in JSON_BODIES:
        return {"application/json": {"schema": schemas[JSON_BODIES[path].__name__]}}
    fields: Json = {name: WORDS.get(name, TEXT) for name in FORMS.get(path, ())}
    if path in FILES:
        fields[FILES[path]] = {"type": "string", "format": "binary"}
        return {"multipart/form-data": {"schema": _form(fields)}}
    form = {"application/x-www-form-urlencoded": {"schema": _form(fields)}}
    return form if path in FORMS else {**form, "application/json": {"schema": {}}}


def _form(fields: Json) -> Json:
    """Return the schema of a form; the session's CSRF token goes along in a header."""
    return {"type": "object", "properties": fields}
