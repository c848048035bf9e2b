"""Whole registers: what the page in a browser makes of each, the command line makes of it as well.

Made by tests/vectors/make_registers.py; tests/js/register_file.test.mjs reads the same.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.register.register_file import WholeRegister, parse_register
from firmware.protocol.tlog.checkpoint import Checkpoint
from tests.vectors.make_registers import state_of

PATH = Path(__file__).parents[1] / "vectors/packages/registers.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text("utf-8"))


def entries_of(register: dict[str, Any]) -> tuple[bytes, ...]:
    written = VECTORS["base"][: register["shared"]] + register["entries"]
    return tuple(one.encode() if isinstance(one, str) else unb64u(one["b64u"]) for one in written)


@pytest.mark.parametrize("register", VECTORS["registers"], ids=lambda one: one["name"])
def test_a_replay_comes_to_what_is_written_down(register: dict[str, Any]) -> None:
    entries = entries_of(register)
    checkpoint = Checkpoint(
        origin=register["origin"], size=len(entries), root=unb64u(register["root"])
    )
    replayed = WholeRegister(entries=entries).replayed(checkpoint, charter=register["charter"])
    assert state_of(replayed) == register["state"]


@pytest.mark.parametrize("file", VECTORS["files"], ids=lambda one: one["name"])
def test_a_file_is_taken_or_refused_as_is_written_down(file: dict[str, str]) -> None:
    data = unb64u(file["data"])
    if not file["words"]:
        parse_register(data)
        return
    with pytest.raises(WireError, match=file["words"]):
        parse_register(data)
