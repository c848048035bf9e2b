"""The operator's file of streets: PMTiles, version 3, with vector tiles.

https://github.com/protomaps/PMTiles: it begins with its own name and version, and byte 99 says
what its tiles are. It is served as it is, in the parts that a page asks for.
"""

from pathlib import Path

from relay.errors import ConfigError

_HEADER_BYTES = 127
_TILE_TYPE_AT = 99
_VECTOR_TILES = 1


def check_streets(path: Path | None) -> Path | None:
    """Return the path if it holds vector tiles (or is None), else raise ConfigError."""
    if path is None:
        return None
    expected = "a PMTiles file (version 3) with vector tiles"
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise ConfigError("map.pmtiles", str(path), f"{expected}: {error.strerror}") from error
    is_pmtiles = len(header) == _HEADER_BYTES and header.startswith(b"PMTiles\x03")
    if not is_pmtiles or header[_TILE_TYPE_AT] != _VECTOR_TILES:
        raise ConfigError("map.pmtiles", str(path), expected)
    return path
