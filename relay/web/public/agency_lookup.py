"""Look-up of agencies by id, by name, or by a part of a name. Works without JavaScript.

A form suggests the first of them only, since a relay may have thousands. Files and feeds take an id
or a whole name only: a part of one may mean others tomorrow, which a program wouldn't see.
"""

from collections.abc import Set
from dataclasses import dataclass

from relay.agency.agencies import Agency
from relay.record.agencies import agencies_named
from relay.web.json_responses import PageError

SUGGESTED = 200
NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyMatch:
    """A typed text and its matching agencies."""

    text: str
    ids: Set[str]
    """Of those that are meant; of nobody, if there is no such agency. Empty: nothing was typed."""
    names: tuple[str, ...]
    """Of those that are meant, if it isn't plain from the text; not more than a few."""
    more: int
    """How many of them aren't named."""
    suggested: list[Agency]
    in_files: str | None
    """By what files name those that are meant; None: no file is of them."""


def match_agencies(agencies: list[Agency], text: str) -> AgencyMatch:
    """Return the agencies that a typed text matches."""
    found = agencies_named(agencies, text) if text else []
    is_plain = any(one.id == text for one in found)
    named = [] if is_plain else found
    is_whole = bool(found) and (is_plain or found[0].name.casefold() == text.casefold())
    only = found[0].id if len(found) == 1 else None
    return AgencyMatch(
        text=text,
        ids=frozenset(one.id for one in found) or frozenset({text} if text else ()),
        names=tuple(one.name for one in named[:NAMED]),
        more=max(0, len(named) - NAMED),
        suggested=agencies[:SUGGESTED],
        in_files=text if is_whole or not text else only,
    )


def match_agencies_exactly(agencies: list[Agency], text: str) -> AgencyMatch:
    """Return the agencies of a file's query, or refuse a text that is no id or whole name."""
    found = match_agencies(agencies, text)
    if found.in_files != text:
        message = f"there is no agency with the id or the whole name {text!r}: see /agencies.json"
        raise PageError(422, "agency", message)
    return found
