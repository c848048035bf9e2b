"""A register's saved state as large as a board has room for, and what memory it takes; prints JSON.

    python -m tests.fakes.full_state save 430000000 FOLDER
    python -m tests.fakes.full_state load 430000000 FOLDER

`save` fills a state with requests that stand and with hashes of those that ended, and writes it as
a doorbell does; `load` reads it, in a process of its own.
"""

import gc
import json
import re
import sys
from array import array
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from firmware.enrolment.keys import FileSigner
from firmware.protocol.encoding import decode, new_id
from firmware.protocol.register.ended import HashBag
from firmware.protocol.register.entries import Leaf, RequestLeaf
from firmware.protocol.register.records import RequestRecord
from firmware.protocol.requests import EvidenceRequest
from firmware.protocol.tlog.merkle import leaf_hash
from firmware.protocol.tlog.policy import parse_policy
from firmware.transparency import register_store, state, state_signature
from firmware.transparency.memory_limits import kept_bytes_of, state_bytes_of
from firmware.transparency.state import RegisterState
from tests.fakes.log_town import Town, make_town

CODE = bytes(32)
TEXT = "Between these times a garage door was forced. " * 20


def memory_bytes(line: str) -> int:
    """Return a line of the process's status: VmRSS now, VmHWM at most."""
    found = re.search(rf"{line}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def full_state(town: Town, board_bytes: int) -> RegisterState:
    """Return a state that is as large as may be."""
    full = RegisterState(policy=town.policy, origin=town.register_log.origin)
    full.accept(town.register_log.witnessed(), town.register_log.entries)
    right = town.request(text=TEXT)
    leaf = Leaf(
        widenings=1, narrowings=0, chain="0" * 64, body=RequestLeaf(signed=town.sign(right))
    ).encode()
    kept = sum(map(len, full._entries.values()))
    for number in count(full.size):
        entry = leaf.replace(right.id.encode(), new_id().encode())
        kept += len(entry)
        if kept > kept_bytes_of(board_bytes):
            break
        body = decode(Leaf, entry).body
        assert isinstance(body, RequestLeaf)
        request = decode(EvidenceRequest, body.signed.request.encode())
        record = RequestRecord(index=number, request=request, signed=body.signed, keeps_from=0)
        full._register.add_request(body.signed.request_digest, record)
        full._register.size += 1
        full._entries[number] = full._last = entry
        full._tree.append(leaf_hash(entry))
        full._tree.keep(number)
    left = state_bytes_of(board_bytes) - kept - 2_000_000
    hashes = left // 16
    bag = array("Q", range(0, 2**64, 2**64 // hashes))
    ended = full._register._counts.ended
    ended.ids, ended.cases = (HashBag.from_bytes(bag.tobytes()) for _ in range(2))
    return full


def main() -> None:
    """Save or load a full state; print its size and what it took."""
    what, board_bytes, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    board = pytest.MonkeyPatch()
    for module in (state_signature, register_store):
        board.setattr(module, "MAX_STATE_BYTES", state_bytes_of(board_bytes))
    board.setattr(state, "MAX_KEPT_BYTES", kept_bytes_of(board_bytes))
    file = register_store.RegisterStore(folder / "register").saved_register
    full = None
    if what == "save":
        town = make_town()
        signer = FileSigner(town.agency_key)
        key = town.agency_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key").write_bytes(key)
        (folder / "policy").write_bytes(town.policy_text)
        full = full_state(town, board_bytes)
    else:
        found = load_der_private_key((folder / "key").read_bytes(), password=None)
        assert isinstance(found, EllipticCurvePrivateKey)
        signer = FileSigner(found)
    policy = parse_policy((folder / "policy").read_bytes())
    gc.collect()
    before = memory_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    if full is not None:
        file.write(state_signature.sign_state(full.save(code=CODE), signer))
    else:
        data = file.read()
        assert data is not None
        told = state_signature.verify_state(data, signer)
        full = RegisterState.load(told, policy=policy, origin="lakeland/register", code=CODE)
    took = {
        "state": (folder / "register" / "saved-register").stat().st_size,
        "peak": memory_bytes("VmHWM"),
        "before": before,
        "requests": len(full._register.requests),
    }
    print(json.dumps(took))


if __name__ == "__main__":
    main()
