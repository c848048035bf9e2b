"""Texts of the pages in English and Swedish.

A key is written once in each file of locales/; a test holds the files together. `{name}` in a
text is filled in. Keys that begin with `js.` go to the page's modules.
"""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Final

LANGUAGES: Final = ("en", "sv")
JS_PREFIX: Final = "js."


class Texts:
    """All texts of one language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def __call__(self, key: str, **values: object) -> str:
        """Return a text, filled in; an unknown key is a mistake of ours and raises KeyError."""
        return self._texts[key].format(**values)

    def for_modules(self) -> dict[str, str]:
        """Return the texts for the page's modules, unfilled, without their prefix."""
        return {
            key.removeprefix(JS_PREFIX): text
            for key, text in self._texts.items()
            if key.startswith(JS_PREFIX)
        }


def load_texts() -> dict[str, Texts]:
    """Read every language."""
    folder = resources.files("relay.web").joinpath("locales")
    return {
        language: Texts(
            language, json.loads(folder.joinpath(f"{language}.json").read_text("utf-8"))
        )
        for language in LANGUAGES
    }


def choose_language(*, asked: str | None, kept: str | None, accept: str) -> str:
    """Return the language that was asked for, was kept, or that the browser likes best."""
    for choice in (asked, kept):
        if choice in LANGUAGES:
            return choice
    ranked: list[tuple[float, str]] = []
    for part in accept.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            rank = float(weight or 1)
        except ValueError:
            rank = 0.0
        ranked.append((rank, tag.split("-")[0].lower()))
    liked = sorted((r for r in ranked if r[1] in LANGUAGES and r[0] > 0), key=lambda r: -r[0])
    return liked[0][1] if liked else LANGUAGES[0]
