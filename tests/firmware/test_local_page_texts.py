"""The words of the doorbell's own page: in both languages, all used, and times as people read."""

import re
import string
from importlib import resources

from firmware.local_page.texts import Texts, catalog
from tests.fakes.local_page import CET


def test_both_catalogs_say_the_same_things_with_the_same_names() -> None:
    def shape(language: str) -> dict[str, set[str | None]]:
        return {
            key: {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for key, text in catalog(language).items()
        }

    assert shape("en") == shape("sv")


def test_no_text_is_unused_and_none_is_missing() -> None:
    folder = resources.files("firmware.local_page")
    sources = "".join(
        item.read_text("utf-8")
        for part in (folder, folder.joinpath("templates"))
        for item in part.iterdir()
        if item.name.endswith((".html", ".py"))
    )
    named = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)*\.?)"', sources))
    unused = [
        key
        for key in catalog("en")
        if key not in named and key.rpartition(".")[0] + "." not in named
    ]
    asked = set(re.findall(r'\b(?:t|texts|self)\("([a-z_.]*[a-z_])"', sources))

    assert unused == []
    assert len(asked) > 50
    assert asked <= set(catalog("en"))


def test_a_span_over_midnight_names_both_days() -> None:
    texts = Texts(language="sv", zone=CET)
    span = texts.span(1_795_042_790_000, 1_795_042_810_000)

    assert span.text == "onsdag 18 november 2026, 23:59:50 – torsdag 19 november 2026, 00:00:10"
    assert span.iso.endswith("+01:00")
