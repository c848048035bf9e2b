"""An agreement's area in doorward-agency, on the agency's own machine: from GeoJSON, and its size.

H3 is loaded here and only when it is asked for: all other commands do without.
"""

from pathlib import Path

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import Agreement
from relay.agency.errors import AreaRefused
from relay.agency.fitting import check_fits
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


def check_size(agreement: Agreement) -> None:
    """Raise WireError if the register couldn't hold it: before it is signed, not after."""
    try:
        check_fits(agreement)
    except AreaRefused as error:
        raise WireError(str(error)) from error
