"""Canonical JSON of documents with a body, an event or a command, many times a second.

`Document.encode` walks a document in Python. msgspec's sorted form is the same bytes, unless there
is a number that isn't whole or that RFC 8785 doesn't have, or an object with keys of any kind: of
which documents that can be said is found out by their types, once.
"""

from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from firmware.protocol.commands import Command
from firmware.protocol.events import Event

MAX_INT = 2**53 - 1


def canonical_of(document: Event | Command) -> bytes:
    """Return the document's canonical bytes, as its `encode` does, or raise ValueError."""
    if _is_plain(type(document)) and _is_plain(type(document.body)):
        return msgspec.json.encode(document, order="sorted")
    return document.encode()


@cache
def _is_plain(kind: type[msgspec.Struct]) -> bool:
    """Return whether no document of a type, its body apart, needs the walk."""
    info = inspect.type_info(kind)
    return isinstance(info, inspect.StructType) and all(
        field.encode_name == "body" or _is_plain_type(field.type, ()) for field in info.fields
    )


def _is_plain_type(info: Any, within: tuple[type, ...]) -> bool:
    match info:
        case inspect.StrType() | inspect.BoolType() | inspect.NoneType():
            return True
        case inspect.LiteralType(values=values):
            return all(
                isinstance(value, str) or (value is not None and abs(value) <= MAX_INT)
                for value in values
            )
        case inspect.IntType():
            least = info.ge if info.ge is not None else info.gt
            most = info.le if info.le is not None else info.lt
            return least is not None and most is not None and max(-least, most) <= MAX_INT
        case inspect.ListType(item_type=item):
            return _is_plain_type(item, within)
        case inspect.UnionType(types=types):
            return all(_is_plain_type(one, within) for one in types)
        case inspect.StructType(cls=cls, fields=fields):
            return cls in within or all(
                _is_plain_type(field.type, (*within, cls)) for field in fields
            )
        case _:
            return False
