"""Parser of the request form as a browser without JavaScript sends it: its times are UTC."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.datastructures import FormData, UploadFile

from firmware.protocol.encoding import Document, Id, decode, new_id
from relay.request.drafts import DraftForm
from relay.web.security import MAX_BODY_BYTES

MAX_CELLS = 200
"""Far more than a request may name: whoever ticked them all is told so."""


class _DraftId(Document, frozen=True, kw_only=True):
    id: Id


def read_form(data: FormData) -> DraftForm:
    """Return the form's fields, or raise WireError."""
    listed = [cell for cell in data.getlist("cell") if isinstance(cell, str)]
    typed = read_text(data, "cells").replace(",", " ").replace(";", " ").split()
    days = read_text(data, "retention_days")
    is_number = days.isascii() and days.isdigit() and len(days) < 9
    raw: dict[str, Any] = {  # Any: decode checks it
        "case_number": read_text(data, "case_number").upper(),
        "cells": list(dict.fromkeys([*listed, *typed]))[:MAX_CELLS],
        "from_ms": _moment_ms(read_text(data, "from")),
        "to_ms": _moment_ms(read_text(data, "to")),
        "retention_days": int(days) if is_number else None,
        "onward_sharing": read_text(data, "onward_sharing") or "none",
        "cosigner_id": read_text(data, "cosigner"),
    }
    for name in ("incident_type", "text", "reason", "contact", "danger"):
        raw[name] = read_text(data, name)
    return decode(DraftForm, msgspec.json.encode(raw), max_bytes=MAX_BODY_BYTES)


def read_draft_id(data: FormData) -> str:
    """Return the draft's id, a new one if the field is empty, or raise WireError."""
    told = {"id": read_text(data, "draft_id") or new_id()}
    return decode(_DraftId, msgspec.json.encode(told)).id


def read_text(data: FormData, name: str) -> str:
    """Return one field's text; empty for a file."""
    value = data.get(name, "")
    return "" if isinstance(value, UploadFile) else str(value).replace("\r\n", "\n").strip()


def utc_field(time_ms: int | None) -> str:
    """Return a time in the form of a datetime-local field."""
    if time_ms is None:
        return ""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment_ms(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0, round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000))
