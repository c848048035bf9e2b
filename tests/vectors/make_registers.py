"""Writes packages/registers.json: whole registers, and what a replay makes of them.

    python -m tests.vectors.make_registers

Read by tests/relay/test_register_vectors.py and tests/js/register_file.test.mjs, so that the page
in a browser calls the same entries void as everybody else. Keys and signatures are fresh each time.
"""

import json
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.register.entries import Limits
from firmware.protocol.register.register_file import HEADER, WholeRegister, encode_register
from firmware.protocol.register.replay import Register
from firmware.protocol.register.succession import succession_to
from firmware.protocol.requests import SignedRequest
from firmware.protocol.tlog.checkpoint import Checkpoint
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from tests.attacks.test_a_hostile_register import RIGHT, hostile, make_scene
from tests.attacks.test_a_successor_is_signed_for_by_the_old import (
    NEW,
    OWN,
    charter,
    people,
    whole,
)
from tests.fakes.log_town import DAY_MS, HOUR_MS, Town, make_town
from tests.fakes.register_history import History

PATH = Path(__file__).parent / "packages/registers.json"
HAPPENINGS = 40
ASKING = (
    "publish", "publish for an emergency", "publish twice", "publish in one case", "withdraw",
    "renew", "change limits", "certify", "agree anew",
)  # fmt: skip
SMALL = [b"one", b"", b"three" * 9]


def main() -> None:
    """Replay each register, and write down what came out."""
    scene = make_scene()
    base = scene.town.register_log.entries
    registers = [told(kind, hostile(scene, kind).town, len(base)) for kind in RIGHT]
    every = tuple(History().kinds)
    registers += [told("a history", history_of(0, every), 0)]
    registers += [told("requests", history_of(1, ASKING), 0)]
    registers += [told("as many requests as may be", busy_town(), 0)]
    registers += [told_of(name, NEW, [entry]) for name, entry in successors()]
    vectors = {"base": written(base), "registers": registers, "files": files()}
    PATH.write_text(json.dumps(vectors, indent=1) + "\n", "utf-8")


def history_of(seed: int, happenings: tuple[str, ...]) -> Town:
    """A register to which all of these happened, in some order."""
    history, chance = History(seed), random.Random(seed)
    kinds = [*happenings, *chance.choices(happenings, k=HAPPENINGS - len(happenings))]
    chance.shuffle(kinds)
    for kind in kinds:
        history.do(kind)
    return history.town


def busy_town() -> Town:
    """A register in which each limit is reached, passed, and free again."""
    town = make_town(cells=[f"891f00000{number:x}3ffff" for number in range(16)])
    cells, most = iter(town.agreement.cells), Limits()

    def publish(case: str, **how: Any) -> SignedRequest:
        later_ms = town.now_ms + 2 * DAY_MS
        signed = town.publish(
            **{"cells": [next(cells)], "expires_ms": later_ms} | how, case_number=case
        )
        town.now_ms += HOUR_MS
        return signed

    mine = [publish(f"OPEN-{number}") for number in range(most.max_open_per_officer)]
    publish("ONE-TOO-MANY")
    renewal = town.renew(mine[0], expires_ms=town.now_ms + 3 * DAY_MS)
    town.renew(mine[1], expires_ms=town.now_ms + HOUR_MS)
    publish("STILL-ONE-TOO-MANY")
    town.withdraw(mine[2])
    town.renew(mine[0], expires_ms=town.now_ms + 3 * DAY_MS)
    town.renew(mine[2], expires_ms=town.now_ms + 3 * DAY_MS)
    publish("ONE-CASE")
    town.wind(days=3)
    publish("ONE-CASE", cells=[town.agreement.cells[0]])
    publish("ONE-CASE")
    publish("NEAR", cells=[town.agreement.cells[0]])
    emergency = publish("FIRST", danger="To a child who is lost.")
    publish("SECOND", danger="To a child who is lost.")
    town.renew(emergency, expires_ms=town.now_ms + 3 * DAY_MS)
    town.withdraw(emergency)
    publish("THIRD", danger="To a child who is lost.")
    town.withdraw(renewal)
    return town


def successors() -> Iterator[tuple[str, bytes]]:
    """Yield charters that succeed another register, signed by enough people and by too few."""
    old = make_town()
    named = succession_to(whole(old), people(old))
    theirs = [*people(old, "ann"), replace(OWN[0], key=old.admin("bob").key)]
    for name, leaf in {
        "a successor": charter(old, named),
        "a successor by one of the old": charter(old, named, by=("cem", "dan", "ann")),
        "a successor by one of the new": charter(old, named, by=("cem", "ann", "bob")),
        "a successor of itself": charter(old, replace(named, origin=NEW)),
        "a successor by one of two keys": charter(old, replace(named, by=theirs)),
    }.items():
        yield name, Register(NEW).next_entry(leaf)


def told(name: str, town: Town, shared: int) -> dict[str, Any]:
    """A town's register, as `told_of` has it."""
    return told_of(name, town.register_log.origin, town.register_log.entries, shared)


def told_of(name: str, origin: str, entries: list[bytes], shared: int = 0) -> dict[str, Any]:
    """One register: its entries after the `shared` ones of the base, and what they come to."""
    root = Tree(map(leaf_hash, entries)).root()
    checkpoint, first = Checkpoint(origin=origin, size=len(entries), root=root), entries[0]
    register = WholeRegister(entries=tuple(entries)).replayed(checkpoint, charter=sha256_hex(first))
    return {
        "name": name,
        "origin": origin,
        "charter": sha256_hex(first),
        "root": b64u(root),
        "shared": shared,
        "entries": written(entries[shared:]),
        "state": state_of(register),
    }


def state_of(register: Register) -> dict[str, Any]:
    """Everything in which two replays could differ."""
    officers = [one for known in register.officers.values() for one in known]
    return {
        "size": register.size,
        "voids": [void.index for void in register.voids],
        "counts": [register.widenings, register.narrowings, register.chain],
        "admins": sorted(register.admins),
        "limits": [record.index for record in register.limits],
        "agreements": {
            agency: [[one.index, one.is_suspended] for one in known]
            for agency, known in sorted(register.agreements.items())
        },
        "officers": sorted([one.index, one.is_revoked] for one in officers),
        "requests": {
            digest: [one.is_withdrawn, one.renewed_by]
            for digest, one in sorted(register.requests.items())
        },
    }


def written(entries: list[bytes]) -> list[str | dict[str, str]]:
    """Entries as they are, or in base64url where they are no text."""
    made: list[str | dict[str, str]] = []
    for entry in entries:
        try:
            made.append(entry.decode())
        except UnicodeDecodeError:
            made.append({"b64u": b64u(entry)})
    return made


def files() -> list[dict[str, str]]:
    """Files in other forms; each with what is said of it, "" if it is taken."""
    data = encode_register(SMALL)
    large = HEADER + struct.pack(">II", 1, 65_536)
    ways = {
        "right": (data, ""),
        "without entries": (encode_register([]), ""),
        "one byte more": (data + b"x", "goes on after its last entry"),
        "twice": (data + data, "goes on after its last entry"),
        "a later version": (data.replace(b"/v1", b"/v2"), "doesn't begin"),
        "nothing": (b"", "doesn't begin"),
        "a large entry": (large, "larger than an entry may be"),
        "many entries": (HEADER + struct.pack(">I", 2**32 - 1), "cut off"),
    }
    cut = {
        f"cut off at {at}": (data[:at], "doesn't begin" if at < len(HEADER) else "cut off")
        for at in range(1, len(data))
    }
    return [
        {"name": name, "data": b64u(file), "words": words}
        for name, (file, words) in (ways | cut).items()
    ]


if __name__ == "__main__":
    main()
