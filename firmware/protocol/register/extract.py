"""The register extract in a package: proofs of the request, its officers and their agreement.

The entries as they stand in the log, each with a c2sp.org/tlog-proof to a witnessed checkpoint, so
that whoever verifies evidence needs neither the register nor a network. That nothing in the log
took the right away again (a revocation, a suspension) the doorbell checked when it released: an
extract can't show what isn't there.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document
from firmware.protocol.register.entries import MAX_LEAF_BYTES

MAX_EXTRACT_BYTES = 512 * 1024


class ProvenEntry(Document, frozen=True, kw_only=True):
    """One entry: its canonical text, and the proof that it is in the log."""

    entry: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)]
    proof: Annotated[str, msgspec.Meta(max_length=48 * 1024)]


class RegisterExtract(Document, frozen=True, kw_only=True):
    """`register.json`: the agency's agreement, both officers' certificates, the request."""

    v: Literal[1] = 1
    agreement: ProvenEntry
    officer: ProvenEntry
    cosigner: ProvenEntry
    request: ProvenEntry
