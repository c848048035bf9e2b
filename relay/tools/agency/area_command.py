"""An agreement's area in doorward-agency: conversion from GeoJSON, and checks of its size.

H3 is loaded here and only when it is asked for: all other commands do without.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import Agreement
from relay.agency.agreement_size import check_fits
from relay.agency.errors import AreaRefused
from relay.agency.geojson import MAX_AREA_BYTES


def cells_in(path: str | None) -> list[str]:
    """Return the cells of an area, none without a file; print its location. Raises WireError."""
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


def print_location(path: str | None, cells: list[str]) -> None:
    """Print the location of a list of cells, if H3 is installed: others may have made the list."""
    try:
        from relay.agency.jurisdiction import check_cells, describe_area
    except ModuleNotFoundError:
        return
    if path is None:
        return
    try:
        check_cells(cells, [])
    except AreaRefused as error:
        raise WireError(f"{path}: {error}") from error
    print(f"{path}: {describe_area(cells)}")


def check_named_once(cells: Iterable[str]) -> None:
    """Raise WireError if a list names a cell twice: probably another cell was meant."""
    twice = [cell for cell, count in Counter(cells).items() if count > 1]
    if twice:
        more = f", and {len(twice) - 1} more are" if len(twice) > 1 else ""
        raise WireError(
            f"--cells, --cells-file: {twice[0]} is named twice{more}: each cell belongs there "
            "once. Is another one missing? Correct the list, and sign then"
        )


def check_groups(agreement: Agreement) -> None:
    """Raise WireError unless merged cells are the agreement's own, each in one group."""
    grouped = [cell for group in agreement.merged for cell in group]
    outside = sorted(set(grouped) - set(agreement.cells))
    if outside:
        raise WireError(f"--merged: {outside[0]} isn't one of the agreement's cells: add it there")
    twice = [cell for cell, count in Counter(grouped).items() if count > 1]
    if twice:
        raise WireError(f"--merged: {twice[0]} is named twice: make its groups into one")


def check_size(agreement: Agreement) -> None:
    """Raise WireError if the agreement is too large for the register, before it is signed."""
    try:
        check_fits(agreement)
    except AreaRefused as error:
        raise WireError(str(error)) from error
