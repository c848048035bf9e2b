"""The whole register in one file, `register.tlog`: for a chain that no package holds.

    doorward/register-file/v1 and a newline
    the number of entries (4 bytes, big-endian)
    for each entry: its length (4 bytes, big-endian), and the entry

`doorward-monitor --save-register` writes it. It proves nothing by itself: its entries must lead to
the checkpoint that the evidence names.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import MAX_LEAF_BYTES
from firmware.protocol.register.replay import Register
from firmware.protocol.tlog.checkpoint import Checkpoint
from firmware.protocol.tlog.merkle import Frontier, leaf_hash

REGISTER_FILE = "register.tlog"
MAX_REGISTER_FILE_BYTES = 512 * 1024 * 1024
HEADER = b"doorward/register-file/v1\n"
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRegister:
    """The entries of a register from the first on, as a file has them."""

    entries: tuple[bytes, ...]

    def replayed(self, checkpoint: Checkpoint, *, charter: str | None) -> Register:
        """Return the register after the entries of a checkpoint, or raise WireError."""
        if len(self.entries) < checkpoint.size:
            raise WireError(
                f"{REGISTER_FILE} has {len(self.entries)} entries, and the evidence's register had "
                f"{checkpoint.size}: save it anew"
            )
        edge, register = Frontier(), Register(checkpoint.origin, charter=charter)
        for entry in self.entries[: checkpoint.size]:
            edge.append(leaf_hash(entry))
            register.apply(entry)
        if edge.root() != checkpoint.root:
            raise WireError(f"{REGISTER_FILE} is of another log than the evidence's register")
        return register


def encode_register(entries: Sequence[bytes]) -> bytes:
    """Return the file with these entries."""
    parts = [HEADER, _LENGTH.pack(len(entries))]
    for entry in entries:
        parts += [_LENGTH.pack(len(entry)), entry]
    return b"".join(parts)


def parse_register(data: bytes) -> WholeRegister:
    """Parse the file, or raise WireError saying what is wrong with it."""
    if len(data) > MAX_REGISTER_FILE_BYTES:
        raise WireError(f"{REGISTER_FILE} has more than {MAX_REGISTER_FILE_BYTES} bytes")
    if not data.startswith(HEADER):
        raise WireError(f"{REGISTER_FILE} doesn't begin as version 1 of a saved register does")
    at = len(HEADER)

    def number() -> int:
        nonlocal at
        if at + _LENGTH.size > len(data):
            raise WireError(f"{REGISTER_FILE} is cut off")
        (value,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        return int(value)

    entries = []
    for index in range(number()):
        size = number()
        if size > MAX_LEAF_BYTES:
            raise WireError(f"entry {index} of {REGISTER_FILE} is larger than an entry may be")
        if at + size > len(data):
            raise WireError(f"{REGISTER_FILE} is cut off in entry {index}")
        entries.append(data[at : at + size])
        at += size
    if at != len(data):
        raise WireError(f"{REGISTER_FILE} goes on after its last entry")
    return WholeRegister(entries=tuple(entries))
