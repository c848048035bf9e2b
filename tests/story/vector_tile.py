"""A writer of vector tiles: features into the bytes of one tile (Mapbox Vector Tile 2.1).

https://github.com/mapbox/vector-tile-spec/tree/master/2.1. Protocol Buffers are written by hand:
a tile needs three of its messages. Geometry isn't clipped; whoever draws a tile cuts it off there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

EXTENT = 8192
"""A tile's width and height in its own units; MapLibre takes from -16384 to 16383 of them."""
_VERSION = 2
_MOVE, _LINE, _CLOSE = 1, 2, 7

Pixel = tuple[int, int]
"""To the right and down, in units of the tile."""


class Shape(IntEnum):
    """The kinds of geometry, by the specification's numbers."""

    POINT = 1
    LINE = 2
    POLYGON = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFeature:
    """One feature: a point, a line, or a polygon's outer ring (not closed, clockwise on screen)."""

    shape: Shape
    points: Sequence[Pixel]
    attributes: Mapping[str, str]


def tile_bytes(layers: Mapping[str, Sequence[TileFeature]]) -> bytes:
    """Return a tile with these layers; one without features is left out."""
    return b"".join(
        _field(3, _layer(name, features)) for name, features in layers.items() if features
    )


def _layer(name: str, features: Sequence[TileFeature]) -> bytes:
    keys = list(dict.fromkeys(key for one in features for key in one.attributes))
    values = list(dict.fromkeys(value for one in features for value in one.attributes.values()))
    key_at = {key: number for number, key in enumerate(keys)}
    value_at = {value: number for number, value in enumerate(values)}
    return b"".join(
        (
            _number(15, _VERSION),
            _field(1, name.encode()),
            *(_field(2, _feature(one, key_at, value_at)) for one in features),
            *(_field(3, key.encode()) for key in keys),
            *(_field(4, _field(1, value.encode())) for value in values),
            _number(5, EXTENT),
        )
    )


def _feature(one: TileFeature, key_at: Mapping[str, int], value_at: Mapping[str, int]) -> bytes:
    tags = [
        number for key, value in one.attributes.items() for number in (key_at[key], value_at[value])
    ]
    packed = b"".join(map(_varint, tags))
    geometry = b"".join(map(_varint, _commands(one)))
    return (_field(2, packed) if packed else b"") + _number(3, one.shape) + _field(4, geometry)


def _commands(one: TileFeature) -> list[int]:
    """Return the geometry's commands (§4.3): move to the first point, lines to the others."""
    (x, y), *rest = one.points
    found = [_MOVE | 1 << 3, _zigzag(x), _zigzag(y)]
    if rest:
        found.append(_LINE | len(rest) << 3)
    for next_x, next_y in rest:
        found += [_zigzag(next_x - x), _zigzag(next_y - y)]
        x, y = next_x, next_y
    return [*found, _CLOSE | 1 << 3] if one.shape is Shape.POLYGON else found


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
