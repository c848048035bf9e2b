"""The owner's app's texts of a request, so that officers preview what an owner will read.

They come from the app's own texts; js/protocol/letter.js puts them together in both places.
"""

import json
from importlib import resources
from typing import Final

from relay.web.i18n import Texts

KEYS: Final = (
    "release.title", "release.title_emergency", "release.ignore", "release.emergency",
    "release.danger", "release.emergency_help", "release.asks", "release.case",
    "release.incident", "release.officer", "release.cosigner", "release.contact",
    "release.reason", "release.keep", "release.days", "release.share", "release.sharing_none",
    "release.sharing_prosecutor", "release.until",
)  # fmt: skip

MISSING_KEYS: Final = tuple(
    f"missing.{name}"
    for name in (
        *("all", "none", "one", "case_number", "incident_type", "text", "from", "reason"),
        *("cells", "contact", "retention_days", "cosigner"),
    )
)
"""Texts of the relay's own pages."""


def owner_words(language: str) -> dict[str, str]:
    """Return the texts that an owner reads of a request, in one language."""
    folder = resources.files("relay").joinpath("owner_app", "locales")
    texts: dict[str, str] = json.loads(folder.joinpath(f"{language}.more.json").read_text("utf-8"))
    incidents = {key: text for key, text in texts.items() if key.startswith("incident.")}
    return {key: texts[key] for key in KEYS} | incidents


def letter_words(texts: Texts) -> dict[str, str]:
    """Return the same with what the preview beside the form says of the fields still missing."""
    missing = {key: texts.unfilled(key) for key in MISSING_KEYS}
    return owner_words(texts.language) | missing
