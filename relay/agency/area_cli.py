"""`--area` of doorward-agency: a jurisdiction from a GeoJSON file, on the agency's own machine.

H3 is loaded here and only when it is asked for: all other commands do without.
"""

from pathlib import Path

from firmware.protocol.encoding import WireError
from relay.agency.errors import AreaRefused
from relay.agency.geojson import MAX_AREA_BYTES


def cells_in(path: str | None) -> list[str]:
    """Return the cells of an area, none without a file; say where it lies. Raises WireError."""
    if path is None:
        return []
    try:
        from relay.agency.jurisdiction import cells_of_geojson, describe_area
    except ModuleNotFoundError as error:
        missing = "--area needs the package h3 (pip install 'doorward[officer]'), or use --cells"
        raise WireError(missing) from error
    with Path(path).open("rb") as file:
        data = file.read(MAX_AREA_BYTES + 1)
    try:
        cells = cells_of_geojson(data)
    except AreaRefused as error:
        raise WireError(f"{path}: {error}") from error
    print(f"{path}: {describe_area(cells)}")
    print("If that is somewhere else, longitude and latitude are swapped in the file.")
    return cells
