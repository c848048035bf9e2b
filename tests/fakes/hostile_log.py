"""Ways in which whoever serves a town's logs may lie, with the logs' own keys in hand.

    lie = forked(town)          the same keys, another history from some entry on
    with lie.served() as url:   a follower's or a monitor's view of it

`town` itself stays honest. What a liar can't do is sign for the witnesses: `colluding` says which
of the three help.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from firmware.protocol.register.entries import ChangeLeaf, Leaf, OfficerRevoked
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.signed_note import parse_note
from firmware.protocol.tlog.tiles import bundles_grown, encode_bundle
from tests.fakes.log_town import Town, TownLog


def rebuilt(log: TownLog, entries: Sequence[bytes], *, by: Sequence[str], at_ms: int) -> TownLog:
    """Return a log of the same keys with other entries, under one checkpoint by these witnesses."""
    other = replace(
        log, tree=Tree(map(leaf_hash, entries)), entries=list(entries), stamps=[], pinned={}
    )
    other.checkpoint = other.note(at_ms=at_ms, by=by)
    other.stamps = [other.checkpoint]
    return other


def rolled_back(town: Town, *, to: int) -> Town:
    """The register as it was: an older checkpoint that was honestly witnessed then."""
    lie = town.copy()
    lie.register_log = town.register_log.fork(size=to)
    lie.register_log.checkpoint = lie.register_log.stamps[-1]
    return lie


def forked(town: Town, *, colluding: Sequence[str] = ("north", "east", "south")) -> Town:
    """The last entry of the register was another one; even all witnesses help."""
    lie = town.copy()
    entries = [*town.register_log.entries[:-1], b'{"something":"else"}']
    lie.register_log = rebuilt(town.register_log, entries, by=colluding, at_ms=town.now_ms)
    return lie


def without_revocation(town: Town) -> Town:
    """The true checkpoint, and entries among which a revocation is missing."""
    lie = town.copy()
    log = lie.register_log
    hidden = [entry for entry in log.entries if not _is_revocation(entry)]
    assert len(hidden) < len(log.entries), "nothing was revoked"
    hidden.append(hidden[-1])  # as many as there must be
    for bundle in bundles_grown(0, log.size):
        served = hidden[bundle.start : bundle.start + bundle.width]
        log.pinned[bundle.path] = encode_bundle(served)
    return lie


def frozen(town: Town) -> Town:
    """Everything as it is now, for ever: what comes later is withheld."""
    return town.copy()


def backdated(town: Town, *, by_ms: int, colluding: Sequence[str]) -> Town:
    """Stamps that say that the newest tree was seen earlier, by those witnesses that help."""
    lie = town.copy()
    log = lie.register_log
    honest = [name for name in log.witnesses if name not in colluding]
    early = log.note(at_ms=town.now_ms - by_ms, by=colluding) if colluding else None
    note = log.note(at_ms=town.now_ms, by=honest) if early is None else _joined(log, early, honest)
    log.stamps[-1] = note
    return lie


def _joined(log: TownLog, early: bytes, honest: Sequence[str]) -> bytes:
    now = log.policy.check(log.checkpoint, origin=log.origin).fresh_ms
    lines = parse_note(log.note(at_ms=now, by=honest)).signatures
    return parse_note(early).with_signatures(*lines).encode()


def _is_revocation(entry: bytes) -> bool:
    leaf = msgspec.json.decode(entry, type=Leaf)
    return isinstance(leaf.body, ChangeLeaf) and (
        f'"kind":"{OfficerRevoked.__struct_config__.tag}"' in leaf.body.change
    )
