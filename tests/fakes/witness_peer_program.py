"""Runs in the peers' environment: aics-tlog answers lines of JSON with lines of JSON.

An independent implementation of the C2SP log formats; entries are "entry 0", "entry 1", …
"""

import json
import sys
from typing import Any

import aics_tlog as peer


def answer(question: dict[str, Any]) -> object:
    """Answer one question."""
    match question["ask"]:
        case "proofs":
            return proofs(question["size"], question["of"])
        case "verify":
            return [verify(shown) for shown in question["shown"]]
        case "tiles":
            leaves = entries(question["size"])
            return {path: data.hex() for path, data in peer.tiles.materialise_tiles(leaves).items()}
        case "checkpoint":
            return checkpoint(question)
    raise ValueError(question)


def entries(size: int) -> list[bytes]:
    """Return the entries of a tree."""
    return [b"entry %d" % number for number in range(size)]


def proofs(size: int, wanted: list[list[int]]) -> list[list[object]]:
    """Return root, inclusion and consistency proof for each index, old size and size."""
    tree = peer.MerkleTree(entries(size))
    return [
        [
            tree.root(at).hex(),
            [hashed.hex() for hashed in tree.inclusion_proof(index, at)],
            [hashed.hex() for hashed in tree.consistency_proof(old, at)],
        ]
        for index, old, at in wanted
    ]


def verify(shown: dict[str, Any]) -> bool:
    """Tell whether a proof holds."""
    proof = [bytes.fromhex(hashed) for hashed in shown["proof"]]
    root = bytes.fromhex(shown["root"])
    if "index" in shown:
        leaf = bytes.fromhex(shown["leaf_hash"])
        return peer.verify_inclusion(leaf, shown["index"], shown["size"], proof, root)
    old_root = bytes.fromhex(shown["old_root"])
    return peer.verify_consistency(shown["old_size"], shown["size"], old_root, root, proof)


def checkpoint(question: dict[str, Any]) -> dict[str, object]:
    """Verify a note with a log's key and a quorum of witnesses."""
    result = peer.verify_checkpoint(
        peer.parse_note(question["note"]),
        peer.parse_vkey(question["log"]),
        [peer.parse_vkey(vkey) for vkey in question["witnesses"]],
        question["quorum"],
    )
    return {"ok": result.ok, "size": result.size, "times": result.timestamps, "why": result.error}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
