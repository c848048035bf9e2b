"""The size limit of an agreement: it must fit into one entry of the register.

Pure, and without H3: the agency's own command asks it before anything is signed.
"""

from firmware.protocol.register.changes import texts_of
from firmware.protocol.register.entries import (
    MAX_CELLS,
    MAX_CHANGES,
    MAX_LEAF_BYTES,
    NO_CHANGES,
    Agreement,
    AgreementMade,
    Change,
    ChangeSignature,
    Leaf,
    SignedAgreement,
)
from relay.agency.errors import AreaRefused

CELL_KM2 = 0.105
FITTING_CELLS = 2500
"""So many fit with any name and keys, if few of them are merged: what an area is held to."""
_CELL_BYTES = 20
"""A cell in an entry: in a text of its own, with each quote escaped."""
_LONGEST_ID = "a-" * 39 + "a"
_LONGEST_SIGNATURE = "A" * 96
"""ECDSA P-256 in DER has 72 bytes at most."""


def check_fits(agreement: Agreement) -> None:
    """Raise AreaRefused if the entry with two administrators' signatures would be too large."""
    cells = len(agreement.cells)
    if cells > MAX_CELLS:
        raise too_large(cells, most=MAX_CELLS)
    size = len(_longest_entry(agreement))
    if size > MAX_LEAF_BYTES:
        over = -(-(size - MAX_LEAF_BYTES) // _CELL_BYTES)
        raise too_large(cells, most=max(1, cells - over))


def too_large(cells: int, *, most: int = FITTING_CELLS) -> AreaRefused:
    """Return the refusal for an area with too many cells."""
    km2 = round(most * CELL_KM2)
    return AreaRefused(
        "too_large",
        f"the area has about {cells} cells, and an agreement holds about {most} ({km2} km²; a "
        "merged cell counts twice): leave out water and land where nobody lives, or make an "
        "agreement for each district, each with an id of its own",
        cells=cells,
        most=most,
        km2=km2,
    )


def _longest_entry(agreement: Agreement) -> bytes:
    signed = SignedAgreement(
        agreement=agreement.terms.encode().decode(),
        signature=_LONGEST_SIGNATURE,
        area=agreement.area.encode().decode(),
    )
    texts = texts_of(
        Change(
            origin=agreement.origin,
            nonce="a" * 26,
            follows=MAX_CHANGES,
            body=AgreementMade(signed=signed),
        )
    )
    one = ChangeSignature(by=_LONGEST_ID, signature=_LONGEST_SIGNATURE)
    return Leaf(
        widenings=MAX_CHANGES,
        narrowings=MAX_CHANGES,
        chain=NO_CHANGES,
        body=texts.signed([one, one]),
    ).encode()
