"""A PMTiles file with one vector tile: the whole earth as one plain of the layer `earth`."""

from pathlib import Path

from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import write

from tests.story.vector_tile import EXTENT, Shape, TileFeature, tile_bytes

CORNERS = ((0, 0), (EXTENT, 0), (EXTENT, EXTENT), (0, EXTENT))


def write_streets(path: Path) -> Path:
    """Write the file and return its path."""
    plain = TileFeature(shape=Shape.POLYGON, points=CORNERS, attributes={})
    header = {
        "tile_type": TileType.MVT,
        "tile_compression": Compression.NONE,
        "min_zoom": 0,
        "max_zoom": 0,
        "min_lon_e7": -180 * 10**7,
        "min_lat_e7": -85 * 10**7,
        "max_lon_e7": 180 * 10**7,
        "max_lat_e7": 85 * 10**7,
        "center_zoom": 0,
        "center_lon_e7": 0,
        "center_lat_e7": 0,
    }
    with write(str(path)) as file:
        file.write_tile(zxy_to_tileid(0, 0, 0), tile_bytes({"earth": [plain]}))
        file.finalize(header, {"vector_layers": [{"id": "earth", "fields": {}}]})
    return path
