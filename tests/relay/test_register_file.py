"""The whole register in one file: what a reader takes, and what it says of anything else."""

import struct
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.encoding import WireError
from firmware.protocol.register.chain import make_extract
from firmware.protocol.register.entries import Limits, LimitsChanged
from firmware.protocol.register.extract import MAX_CHAIN_BYTES, Chain
from firmware.protocol.register.register_file import (
    HEADER,
    REGISTER_FILE,
    WholeRegister,
    encode_register,
    parse_register,
)
from firmware.protocol.requests import SignedRequest
from relay.tools.monitor.cli import main as monitor
from relay.verify.checks import Exit
from relay.verify.cli import main as verify
from tests.fakes.log_town import make_town
from tests.relay.evidence_files import Evidence, make_evidence, with_files

ENTRIES = [b"one", b"", b"three" * 100]
DATA = encode_register(ENTRIES)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_written_is_read(entries: list[bytes]) -> None:
    assert parse_register(encode_register(entries)).entries == tuple(entries)


def test_what_is_cut_off_anywhere_is_refused() -> None:
    for size in range(len(DATA)):
        with pytest.raises(WireError, match=r"cut off|doesn't begin"):
            parse_register(DATA[:size])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (DATA + b"x", "goes on after its last entry"),
        (DATA + DATA, "goes on after its last entry"),
        (DATA.replace(b"/v1", b"/v2"), "doesn't begin as version 1"),
        (b"", "doesn't begin"),
        (HEADER + struct.pack(">II", 1, 65_536), "larger than an entry may be"),
        (HEADER + struct.pack(">I", 2**32 - 1), "cut off"),
    ],
    ids=["one byte more", "twice", "a later version", "nothing", "a large entry", "many entries"],
)
def test_what_is_written_otherwise_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parse_register(data)


def test_a_register_in_another_order_or_of_another_log_is_refused() -> None:
    town = make_town()
    entries = town.register_log.entries
    checkpoint = town.register_log.witnessed().checkpoint
    for wrong in ([entries[1], entries[0], *entries[2:]], make_town().register_log.entries):
        with pytest.raises(WireError, match="of another log than the evidence's register"):
            WholeRegister(entries=tuple(wrong)).replayed(checkpoint, charter=None)
    with pytest.raises(WireError, match="save it anew"):
        WholeRegister(entries=tuple(entries[:-1])).replayed(checkpoint, charter=None)
    later = [*entries, b"what came later"]
    assert WholeRegister(entries=tuple(later)).replayed(checkpoint, charter=None).voids == []


# --- in place of a chain that no package holds ---


def test_a_chain_of_more_than_four_megabytes_is_left_out() -> None:
    town = make_town()
    signed = town.publish()
    index = town.append(town.change(LimitsChanged(limits=Limits(max_per_case=1))))
    places, entries = town.places(signed), dict(enumerate(town.register_log.entries))

    def chain_of(count: int) -> Chain | msgspec.UnsetType:
        """Return the chain of a package, as if this change had been made so often."""
        many = replace(places, changes=tuple(range(index, index + count)))
        logged = entries | dict.fromkeys(many.changes, entries[index])
        return make_extract(many, logged, prove=town.register_log.proof, ages=[]).chain

    few = chain_of(100)
    assert not isinstance(few, msgspec.UnsetType)
    link_bytes = len(few.encode()) // 100
    most = MAX_CHAIN_BYTES // link_bytes
    assert chain_of(most - 100) is not msgspec.UNSET
    assert chain_of(most + 100) is msgspec.UNSET


@pytest.fixture
def chainless() -> Evidence:
    """Evidence of a register whose changes take more than 4 MB."""
    evidence = make_evidence()
    request = msgspec.json.decode(evidence.files["request.json"], type=SignedRequest)
    extract = msgspec.structs.replace(evidence.town.extract(request), chain=msgspec.UNSET)
    return with_files(evidence, **{"register.json": extract.encode()})


def test_evidence_without_its_chain_says_what_to_do_and_ends_in_no_success(
    chainless: Evidence, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = chainless.write(tmp_path)
    assert written.verify(written.package) == Exit.INCOMPLETE
    said = capsys.readouterr().out
    assert "doorward-monitor --save-register register.tlog" in said


def test_the_whole_register_takes_its_place_named_or_beside(
    chainless: Evidence, tmp_path: Path
) -> None:
    written = chainless.write(tmp_path)
    saved = tmp_path / "saved.tlog"
    saved.write_bytes(encode_register(chainless.town.register_log.entries))
    assert written.verify(written.package, "--register", str(saved)) == Exit.HOLDS
    for folder in (written.opened, tmp_path):
        (folder / REGISTER_FILE).write_bytes(saved.read_bytes())
    assert written.verify(written.package) == Exit.HOLDS
    assert written.verify(written.opened) == Exit.HOLDS


def test_a_register_that_cannot_be_read_is_said_and_never_ignored(
    chainless: Evidence, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = chainless.write(tmp_path)
    (tmp_path / REGISTER_FILE).write_bytes(b"something else")
    assert written.verify(written.package) == Exit.USAGE
    assert "register.tlog doesn't begin" in capsys.readouterr().err


def test_a_monitor_saves_it_and_the_verifier_reads_it(tmp_path: Path) -> None:
    evidence = make_evidence()
    town, written = evidence.town, evidence.write(tmp_path)
    town.wind(hours=0)
    with town.served() as url:
        monitor(
            ["--policy", str(written.policy), "--log", url, "--report", str(tmp_path / "report.md"),
             "--save-register", str(tmp_path / REGISTER_FILE)]
        )  # fmt: skip
    words = ["--policy", str(written.policy), "--fleet-ca", str(written.fleet_ca)]
    assert verify([str(written.opened), *words, "--register", str(tmp_path / REGISTER_FILE)]) == 0
