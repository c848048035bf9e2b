"""Atom documents (RFC 4287) of the public record and the neighbours' feed. Pure.

ElementTree does the escaping. An entry's id is its address, which stays: the relay's origin can't
be changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from relay.record.exports import time_text

ATOM = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomEntry:
    """One entry, with texts in the reader's language; `url` is its id, too."""

    url: str
    title: str
    updated_ms: int
    """When it last changed in a way that a reader wants to know."""
    published_ms: int
    author: str
    categories: Sequence[str]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomFeed:
    """The document's own title, author and addresses."""

    language: str
    title: str
    author: str
    self_url: str
    page_url: str
    begun_ms: int


def as_atom(feed: AtomFeed, entries: Sequence[AtomEntry]) -> bytes:
    """Return the document's bytes."""
    ET.register_namespace("", ATOM)
    root = ET.Element(f"{{{ATOM}}}feed", {"xml:lang": feed.language})
    updated_ms = max([feed.begun_ms, *(one.updated_ms for one in entries)])
    _add(root, "id", feed.self_url)
    _add(root, "title", feed.title)
    _add(root, "updated", _time(updated_ms))
    _add(_add(root, "author"), "name", feed.author)
    _add(root, "link", rel="self", type=MEDIA_TYPE, href=feed.self_url)
    _add(root, "link", rel="alternate", type="text/html", href=feed.page_url)
    for entry in entries:
        _add_entry(root, entry)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_entry(root: ET.Element, entry: AtomEntry) -> None:
    element = _add(root, "entry")
    _add(element, "id", entry.url)
    _add(element, "title", entry.title)
    _add(element, "updated", _time(entry.updated_ms))
    _add(element, "published", _time(entry.published_ms))
    _add(_add(element, "author"), "name", entry.author)
    _add(element, "link", rel="alternate", type="text/html", href=entry.url)
    for term in entry.categories:
        _add(element, "category", term=term)
    _add(element, "content", entry.content, type="text")


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, f"{{{ATOM}}}{tag}", attributes)
    if text:
        child.text = "".join(char for char in text if _is_xml(char))
    return child


def _is_xml(char: str) -> bool:
    """Return whether XML 1.0 can hold a character at all (§2.2)."""
    return (
        char in "\t\n\r"
        or " " <= char <= "\ud7ff"
        or "\ue000" <= char <= "\ufffd"
        or char > "\uffff"
    )


def _time(time_ms: int) -> str:
    return time_text(time_ms) or ""
