"""Strict reading of small JSON documents in the standard library: each field once, none unknown."""

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from provisioning.first_boot.errors import DocumentRefused

MAX_DOCUMENT_BYTES = 64 * 1024


class Fields:
    """One JSON object, read field by field; `end` refuses what was not read."""

    def __init__(self, values: Mapping[str, object], where: str) -> None:
        self._left = dict(values)
        self._where = where

    def text(self, name: str, pattern: str) -> str:
        """Return a text that the whole pattern matches."""
        value = self._left.pop(name, None)
        if not isinstance(value, str) or re.fullmatch(pattern, value, re.DOTALL) is None:
            raise DocumentRefused(f"{self._where}: {name} is missing, or isn't what it must be")
        return value

    def text_if_any(self, name: str, pattern: str) -> str | None:
        """Return a text, or None if the field is null or not there."""
        return None if self._is_none(name) else self.text(name, pattern)

    def whole(self, name: str, least: int, most: int) -> int:
        """Return a whole number."""
        value = self._left.pop(name, None)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise DocumentRefused(
                f"{self._where}: {name} must be a whole number from {least} to {most}"
            )
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; false if the field isn't there."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise DocumentRefused(f"{self._where}: {name} must be true or false")
        return value

    def fields(self, name: str) -> "Fields":
        """Return an object's fields."""
        value = self._left.pop(name, None)
        if not isinstance(value, dict):
            raise DocumentRefused(f"{self._where}: {name} is missing, or no object")
        return Fields(value, f"{self._where}: {name}")

    def fields_if_any(self, name: str) -> "Fields | None":
        """Return an object's fields, or None if it is null or not there."""
        return None if self._is_none(name) else self.fields(name)

    def list(self, name: str, most: int) -> "list[Fields]":
        """Return the objects of a list."""
        value = self._left.pop(name, None)
        if not isinstance(value, list) or len(value) > most:
            raise DocumentRefused(f"{self._where}: {name} must be a list of at most {most}")
        if not all(isinstance(item, dict) for item in value):
            raise DocumentRefused(f"{self._where}: {name} must be a list of objects")
        return [Fields(item, f"{self._where}: {name}") for item in value]

    def version(self, expected: int) -> None:
        """Refuse another version of the document."""
        version = self._left.pop("v", None)
        if type(version) is not int or version != expected:
            raise DocumentRefused(f"{self._where}: is not of version {expected}")

    def end(self) -> None:
        """Refuse what was not read."""
        if self._left:
            name = min(self._left)[:40]
            raise DocumentRefused(f"{self._where}: has an unknown field {name!a}")

    def _is_none(self, name: str) -> bool:
        if self._left.get(name) is not None:
            return False
        self._left.pop(name, None)
        return True


def parse_fields(data: bytes, where: str, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> Fields:
    """Parse one JSON object, or raise DocumentRefused."""
    if len(data) > max_bytes:
        raise DocumentRefused(f"{where}: has more than {max_bytes} bytes")
    try:
        document = json.loads(
            data.decode(), object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_constant
        )
    except (ValueError, RecursionError) as error:
        raise DocumentRefused(f"{where}: isn't JSON, or was cut off; copy it anew") from error
    if not isinstance(document, dict):
        raise DocumentRefused(f"{where}: isn't an object of JSON")
    return Fields(document, where)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field stands there twice")
    return document


def _constant(text: str) -> NoReturn:
    raise ValueError(f"no number of ours: {text[:20]}")
