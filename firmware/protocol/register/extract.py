"""The register's part of a package: its request, and the chain of authority that it rests on.

Proved are the request, both officers' certificates and the agreement in force, each as it stands in
the log, and the log's last entry, which says how many changes came before it, and their digest. So
whoever verifies evidence replays the changes (chain.py) and needs neither the register nor a
network. `ages` are earlier checkpoints of the same log: what they hold is as old as the witnesses
say.

What only the whole register shows: how many requests an officer or a case had (R4), whether the
request was withdrawn, and that the last entry itself tells the truth, which every follower and
monitor checks, and nobody can from a part.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, ShortB64u
from firmware.protocol.register.entries import (
    MAX_AREA_BYTES,
    MAX_LEAF_BYTES,
    MAX_TERMS_BYTES,
    ChangeSignature,
)

MAX_INDEX = 2**31
MAX_CHAIN_BYTES = 4 * 1024 * 1024
"""A longer chain isn't packed: the whole register is saved beside the evidence instead."""
MAX_LINKS = 20_000
MAX_EXTRACT_BYTES = 2 * MAX_CHAIN_BYTES
MAX_RENEWED = 3
"""A renewal brings the request that it renews, and the certificates of that one's officers."""
MAX_AGES = 3


class ProvenEntry(Document, frozen=True, kw_only=True):
    """One entry: its canonical text, and the proof that it is in the log."""

    entry: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)]
    proof: Annotated[str, msgspec.Meta(max_length=48 * 1024)]


class ChainLink(Document, frozen=True, kw_only=True):
    """One change: its place in the log, its header and signatures, and of some the body.

    The bodies are there of what concerns all (administrators, limits), and of this agency's; an
    agreement's area where a request was judged by it.
    """

    index: Annotated[int, msgspec.Meta(ge=1, le=MAX_INDEX)]
    change: Annotated[str, msgspec.Meta(max_length=MAX_TERMS_BYTES)]
    signatures: Annotated[list[ChangeSignature], msgspec.Meta(min_length=1, max_length=8)]
    content: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    area: Annotated[str, msgspec.Meta(max_length=MAX_AREA_BYTES)] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class Chain(Document, frozen=True, kw_only=True):
    """The register's charter, which is its first entry, and all changes after it."""

    charter: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)]
    links: Annotated[list[ChainLink], msgspec.Meta(max_length=MAX_LINKS)]


class EarlierCheckpoint(Document, frozen=True, kw_only=True):
    """A checkpoint, and the proof that the log of the newest one begins with it."""

    note: Annotated[str, msgspec.Meta(max_length=16 * 1024)]
    hashes: Annotated[list[ShortB64u], msgspec.Meta(max_length=128)]


class RegisterExtract(Document, frozen=True, kw_only=True):
    """`register.json`; without `chain` where that would be longer than MAX_CHAIN_BYTES."""

    v: Literal[2] = 2
    agreement: ProvenEntry
    officer: ProvenEntry
    cosigner: ProvenEntry
    request: ProvenEntry
    renewed: Annotated[list[ProvenEntry], msgspec.Meta(max_length=MAX_RENEWED)]
    last: ProvenEntry
    chain: Chain | msgspec.UnsetType = msgspec.UNSET
    ages: Annotated[list[EarlierCheckpoint], msgspec.Meta(max_length=MAX_AGES)]
