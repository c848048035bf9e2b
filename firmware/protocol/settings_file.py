"""Settings files: TOML decoded strictly into frozen msgspec structs, one sentence for each fault.

Both programs read their settings with it; each has its own structs, in its `config` folder. It
knows no key. Types and constraints are msgspec's; `Meta.description` holds the words for what is
expected. `Parsed` reads what those can't express, and `SECRET` keeps a value out of errors.

- A struct is a table, a tuple of structs an array of tables, and `T | None` is None for "".
- Every table is closed: a key that its struct doesn't have is a fault.
- A `Path` is relative to the file's folder, and absolute once decoded, also where it is a default.
- The first fault is raised: unknown keys of a table before wrong values, these before missing keys.
"""

import difflib
import tomllib
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A mark in `Annotated`: the value is read by `parse`, which raises ValueError or TypeError."""

    parse: Callable[[Any], object]  # Any: what TOML held
    expected: str


class _Mark(Enum):
    SECRET = auto()


SECRET = _Mark.SECRET
"""A mark in `Annotated`: an error shows "(hidden)" in place of the value."""


class SettingFault(Exception):
    """A settings file is wrong at `key`: it holds `value` in place of `expected`.

    The text is one sentence for people. `value` is "(hidden)" or "(missing)" where it is so.
    """

    def __init__(self, key: str, value: object, expected: str, *, sentence: str = "") -> None:
        super().__init__(sentence or f"{key} = {value!r}: expected {expected}")
        self.key = key
        self.value = value
        self.expected = expected


def read_toml(path: Path, *, hint: str = "") -> dict[str, Any]:  # Any: TOML's values
    """Return the document at `path`, or raise SettingFault with the line that is wrong.

    `hint` follows where there is no such file.
    """
    try:
        data = path.read_bytes()
        return tomllib.loads(data.decode())
    except OSError as error:
        raise _no_file(path, f"a readable file ({error.strerror}){hint}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _no_file(
            path, f"a TOML file, which is text in UTF-8 (not so at line {line})"
        ) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        end = "at line {}, the end of the file".format(data.count(b"\n") + 1)
        said = str(error).replace("at end of document", end)
        raise _no_file(path, f"a TOML file ({said})") from error


def _no_file(path: Path, expected: str) -> SettingFault:
    return SettingFault("--config", str(path), expected)


def decode(kind: type[S], document: Mapping[str, object], *, folder: Path) -> S:
    """Return the settings that a parsed document holds, or raise SettingFault."""
    return _Decoder(kind, folder).table(kind, document, "")


def keys_of(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of a settings struct as `table.key`, with its type and marks (Any)."""
    for field in msgspec.structs.fields(kind):
        key = prefix + field.encode_name
        inner = _table_of(field.type) or _row_of(field.type)
        if inner is None:
            yield key, field.type
        else:
            yield from keys_of(inner, key + ".")


class _Decoder:
    """Decodes one document; `root` is the whole file's struct."""

    def __init__(self, root: type[msgspec.Struct], folder: Path) -> None:
        self._root = root
        self._folder = folder

    def table(self, kind: type[S], values: Mapping[str, object], prefix: str) -> S:
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for name, value in values.items():
            if name not in fields:
                raise self._unknown(name, value, fields, prefix)
        decoded = {
            fields[name].name: self._value(fields[name].type, value, prefix + name)
            for name, value in values.items()
        }
        for name, field in fields.items():
            if name not in values:
                decoded[field.name] = self._default(field, prefix + name)
        return kind(**decoded)

    def _value(self, kind: Any, value: object, key: str) -> object:  # Any: a type with its marks
        if (table := _table_of(kind)) is not None:
            if not isinstance(value, dict):
                raise _no_table(key, value, _expected(kind, key))
            return self.table(table, value, key + ".")
        if (row := _row_of(kind)) is not None:
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                raise _no_table(key, value, _expected(kind, key))
            return tuple(self.table(row, item, key + ".") for item in value)
        if value == "" and type(None) in typing.get_args(_plain(kind)):
            return None
        if (decoded := _converted(kind, value)) is None:
            shown = "(hidden)" if SECRET in _marks(kind) else value
            raise SettingFault(key, shown, _expected(kind, key))
        return self._folder / decoded if isinstance(decoded, Path) else decoded

    def _default(self, field: msgspec.structs.FieldInfo, key: str) -> object:
        if field.required:
            expected = _expected(field.type, key)
            what = key if _table_of(field.type) is None else f"[{key}]"
            sentence = f"{what} is missing: expected {expected}"
            raise SettingFault(key, "(missing)", expected, sentence=sentence)
        if isinstance(field.default, msgspec.Struct):
            return self.table(type(field.default), {}, key + ".")
        return self._folder / field.default if isinstance(field.default, Path) else field.default

    def _unknown(
        self, name: str, value: object, known: Collection[str], prefix: str
    ) -> SettingFault:
        """Return the fault with the nearest key; the value isn't shown, for it may be a secret."""
        key = prefix + name
        what = f"[{key}]: no such table" if isinstance(value, dict) else f"{key}: no such key"
        expected = f"one of the keys {', '.join(known)}"
        nearest = self._nearest(name, known, prefix, is_table=isinstance(value, dict))
        hint = f"; the nearest is {nearest}" if nearest else ""
        return SettingFault(key, value, expected, sentence=f"{what}{hint} (expected {expected})")

    def _nearest(
        self, name: str, known: Collection[str], prefix: str, *, is_table: bool
    ) -> str | None:
        """Return what has that very name elsewhere, or the most similar name in this table."""
        keys = [key for key, _ in keys_of(self._root)]
        tables = list(dict.fromkeys(key.rpartition(".")[0] for key in keys))
        same = [key for key in (tables if is_table else keys) if key.rpartition(".")[2] == name]
        similar = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.65)
        near = [*same, *(prefix + one for one in similar)]
        return f"[{near[0]}]" if near and near[0] in tables else next(iter(near), None)


def _no_table(key: str, value: object, expected: str) -> SettingFault:
    """Return the fault; a list or a table isn't shown, for it may hold a secret."""
    shown = "is a table" if isinstance(value, dict) else f"= {value!r}"
    shown = "is a list" if isinstance(value, list) else shown
    return SettingFault(key, value, expected, sentence=f"{key} {shown}: expected {expected}")


def _converted(kind: Any, value: object) -> object | None:
    """Return the value as its type and marks have it, or None if they refuse it."""
    parsed = next((mark for mark in _marks(kind) if isinstance(mark, Parsed)), None)
    try:
        return parsed.parse(value) if parsed else msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None
    except (ValueError, TypeError):
        if parsed is None:  # the type itself is wrong, not the value
            raise
        return None


def _expected(kind: Any, key: str) -> str:
    """Return the words for what is expected: the marks', or those that the type speaks for."""
    for mark in reversed(_marks(kind)):
        if isinstance(mark, Parsed):
            return mark.expected
        if isinstance(mark, msgspec.Meta) and mark.description:
            return mark.description
    plain = _plain(kind)
    if typing.get_origin(plain) is Literal:
        return " or ".join(f'"{name}"' for name in typing.get_args(plain))
    if _row_of(kind) is not None:
        return f"[[{key}]] tables"
    if _table_of(kind) is not None:
        return f"a table [{key}]"
    if plain is not bool:
        raise TypeError(f"{key}: its type has no words for what is expected")
    return "true or false"


def _plain(kind: Any) -> Any:
    """Return a type without its marks."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _marks(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind)[1:] if typing.get_origin(kind) is Annotated else ()


def _table_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct of a table, `Struct` or `Struct | None`; None for another type."""
    plain = _plain(kind)
    kinds = typing.get_args(plain) if isinstance(plain, UnionType) else (plain,)
    return next((one for one in kinds if _is_struct(one)), None)


def _row_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct of an array of tables, `tuple[Struct, ...]`."""
    plain = _plain(kind)
    if typing.get_origin(plain) is not tuple:
        return None
    first: type[msgspec.Struct] = typing.get_args(plain)[0]
    return first if _is_struct(first) else None


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
