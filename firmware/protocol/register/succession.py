"""A register that begins anew: which one it succeeds, and whether that is so. Pure.

A charter may name the origin, size and root of an older register, and administrators of that one,
of whom two sign it. That they signed, everybody checks who replays it (change_rules.py); that they
were its administrators at its end, only who has the older register, whole. Nothing follows from it
by itself: which register is believed, the policy says.
"""

from firmware.protocol.encoding import decode_canonical
from firmware.protocol.register.changes import parse_change, parse_header
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    Admin,
    ChangeLeaf,
    Charter,
    Leaf,
    Succession,
)
from firmware.protocol.register.records import EntryVoid
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.register.replay import Register
from firmware.protocol.tlog.merkle import Frontier, leaf_hash


def succession_of(first: bytes) -> Succession | None:
    """Return what a register's first entry says that it succeeds, or raise WireError."""
    body = _change_of(first)
    void = Register(parse_header(body.change).origin).apply(first)
    if void is not None:
        raise EntryVoid(f"its charter is void: {void.why}")
    charter = parse_change(body).body
    if not isinstance(charter, Charter) or not isinstance(charter.succeeds, Succession):
        return None
    return charter.succeeds


def succession_to(old: WholeRegister, by: list[Admin]) -> Succession:
    """Return what a charter says that succeeds `old` at its end, or raise WireError."""
    if not old.entries:
        raise EntryVoid("the register that is to be succeeded has no entry")
    origin = parse_header(_change_of(old.entries[0]).change).origin
    named = Succession(origin=origin, size=len(old.entries), root=_root_of(old), by=by)
    check_succession(named, old)
    return named


def check_succession(named: Succession, old: WholeRegister) -> None:
    """Raise WireError unless `old`, the reader's own, is what is named, and its people signed."""
    size = len(old.entries)
    if size != named.size:
        raise EntryVoid(
            f"{named.origin} is succeeded after {named.size} entries, and has {size} here: it went "
            "on, or this isn't all of it"
        )
    if _root_of(old) != named.root:
        raise EntryVoid(f"{named.origin} is succeeded under another root than these entries have")
    register = Register(named.origin)
    for entry in old.entries:
        register.apply(entry)
    for admin in named.by:
        known = register.admins.get(admin.id)
        if known is None or known.key != admin.key:
            raise EntryVoid(f"{admin.id!r} is no administrator of {named.origin} at its end")


def _root_of(register: WholeRegister) -> str:
    edge = Frontier()
    for entry in register.entries:
        edge.append(leaf_hash(entry))
    return edge.root().hex()


def _change_of(entry: bytes) -> ChangeLeaf:
    body = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES).body
    if not isinstance(body, ChangeLeaf):
        raise EntryVoid("the first entry of a register is its charter")
    return body
