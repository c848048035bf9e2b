"""A PMTiles file with one vector tile: the whole earth as one plain of the layer `earth`.

https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md and the Mapbox Vector Tile 2.1
specification; nothing in it is compressed.
"""

import struct
from pathlib import Path

HEADER_BYTES = 127
EXTENT = 4096
NONE, VECTOR = 1, 1
"""PMTiles' words: not compressed, vector tiles."""


def write_streets(path: Path) -> Path:
    """Write the file and return its path."""
    tile = _field(3, _layer("earth"))
    directory = _varint(1) + _varint(0) + _varint(1) + _varint(len(tile)) + _varint(1)
    metadata = b'{"vector_layers":[{"id":"earth","fields":{}}]}'
    metadata_at = HEADER_BYTES + len(directory)
    tiles_at = metadata_at + len(metadata)
    header = b"PMTiles\x03" + struct.pack(
        "<QQQQQQQQQQQ", HEADER_BYTES, len(directory), metadata_at, len(metadata), tiles_at, 0,
        tiles_at, len(tile), 1, 1, 1,
    )  # fmt: skip
    header += bytes((1, NONE, NONE, VECTOR, 0, 0))
    header += struct.pack("<iiii", -180 * 10**7, -85 * 10**7, 180 * 10**7, 85 * 10**7)
    header += struct.pack("<Bii", 0, 0, 0)
    path.write_bytes(header + directory + metadata + tile)
    return path


def _layer(name: str) -> bytes:
    far, back = EXTENT * 2, EXTENT * 2 - 1  # zigzag: there and back
    corners = (9, 0, 0, 26, far, 0, 0, far, back, 0, 15)
    feature = b"\x18\x03" + _field(4, b"".join(map(_varint, corners)))
    return _field(1, name.encode()) + _field(2, feature) + b"\x28" + _varint(EXTENT) + b"\x78\x02"


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
