"""The witness signs a log that only ever grew, says when, and signs nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from firmware.protocol.tlog.merkle import EMPTY_ROOT
from firmware.protocol.tlog.signed_note import (
    NoteKey,
    NoteSigner,
    parse_note,
    parse_signatures,
    sign_note,
)
from firmware.protocol.tlog.witness import MAX_REQUEST_BYTES, AddCheckpoint
from relay.tools.witness import server
from relay.tools.witness.cosigner import WitnessSigner
from relay.tools.witness.errors import CheckpointRefused, SizeConflict, WitnessError
from relay.tools.witness.folder import WitnessFolder, file_name, group_by_origin, make_folder
from tests.fakes.clock import ManualClock
from tests.fakes.witness_log import ORIGIN, WitnessedLog

SIGNER = NoteSigner.generate("witness.example/own", "cosignature")


@dataclass
class World:
    """A log, a witness of it, and the witness's folder and clock."""

    folder: Path
    log: WitnessedLog
    clock: ManualClock
    witness: WitnessSigner

    def add(self, body: bytes) -> int:
        """Have a request signed; return the cosignature's time in seconds."""
        line = self.witness.add_checkpoint(body)
        request_note = body.split(b"\n\n", 1)[1]
        cosigned = parse_note(request_note).with_signatures(*parse_signatures(line)).encode()
        opened = open_checkpoint(cosigned, logs=[self.log.signer.key], witnesses={"w": SIGNER.key})
        return opened.times_ms["w"] // 1000

    def status(self, body: bytes) -> int:
        """Return with which status a request is refused; it must be refused."""
        with pytest.raises(CheckpointRefused) as refused:
            self.witness.add_checkpoint(body)
        return refused.value.status


@contextlib.contextmanager
def witness_of(folder: Path, clock: ManualClock, *logs: NoteKey) -> Iterator[WitnessSigner]:
    opened = WitnessFolder.open(folder, SIGNER.key)
    try:
        yield WitnessSigner(signer=SIGNER, logs=group_by_origin(logs), folder=opened, clock=clock)
    finally:
        opened.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    log = WitnessedLog(b"entry %d" % number for number in range(20))
    clock = ManualClock()
    folder = tmp_path / "witness"
    make_folder(folder, SIGNER.key)
    with witness_of(folder, clock, log.signer.key) as witness:
        yield World(folder=folder, log=log, clock=clock, witness=witness)


def forged_like(log: WitnessedLog) -> WitnessedLog:
    """Another history by the same log's key."""
    forged = WitnessedLog(b"forged %d" % number for number in range(20))
    forged.signer = log.signer
    return forged


def test_signs_a_log_from_its_first_checkpoint_on(world: World):
    for old_size, size in ((0, 1), (1, 7), (7, 8), (8, 20)):
        assert world.add(world.log.request(old_size, size)) == world.clock.wall_ms() // 1000


def test_signs_an_unchanged_tree_again_with_a_new_time(world: World):
    first = world.add(world.log.request(0, 7))
    world.clock.advance(900)
    assert world.add(world.log.request(7, 7)) == first + 900


def test_signs_an_empty_log(world: World):
    world.add(world.log.request(0, 0))
    world.add(world.log.request(0, 5))


def test_refuses_a_rewritten_history(world: World):
    world.add(world.log.request(0, 7))
    assert world.status(forged_like(world.log).request(7, 12)) == 422


def test_refuses_another_root_of_the_same_size(world: World):
    world.add(world.log.request(0, 7))
    assert world.status(forged_like(world.log).request(7, 7)) == 422


def test_refuses_growth_without_its_proof(world: World):
    world.add(world.log.request(0, 7))
    assert world.status(world.log.request(7, 12, hashes=[])) == 422
    proof = world.log.tree.consistency_proof(7, 12)
    assert world.status(world.log.request(7, 12, hashes=[*proof, proof[0]])) == 422


def test_refuses_a_proof_where_there_is_nothing_to_prove(world: World):
    assert world.status(world.log.request(0, 7, hashes=[EMPTY_ROOT])) == 422
    world.add(world.log.request(0, 7))
    assert world.status(world.log.request(7, 7, hashes=[EMPTY_ROOT])) == 422


def test_refuses_a_rollback_and_says_the_size_that_it_signed(world: World):
    world.add(world.log.request(0, 12))
    for old_size, size in ((0, 7), (5, 7), (0, 12), (5, 20), (13, 20)):
        with pytest.raises(SizeConflict) as refused:
            world.witness.add_checkpoint(world.log.request(old_size, size))
        assert refused.value.size == 12


def test_refuses_an_old_size_above_the_checkpoints(world: World):
    world.add(world.log.request(0, 12))
    backwards = AddCheckpoint(old_size=12, hashes=(), note=world.log.signed(7))
    assert world.status(backwards.encode()) == 400


def test_refuses_an_empty_tree_with_another_root(world: World):
    empty = Checkpoint(origin=ORIGIN, size=0, root=bytes(32))
    note = sign_checkpoint(empty, world.log.signer)
    assert world.status(AddCheckpoint(old_size=0, hashes=(), note=note).encode()) == 422


def test_refuses_a_strangers_key(world: World):
    assert world.status(WitnessedLog(world.log.entries).request(0, 7)) == 403


def test_refuses_a_wrong_signature_of_a_known_key(world: World):
    body = world.log.request(0, 7)
    forged = body.replace(b"\n7\n", b"\n8\n")
    assert world.status(forged) == 403


def test_refuses_a_log_that_it_does_not_watch(world: World):
    assert world.status(WitnessedLog([b"a"], origin="foreign.example").request(0, 1)) == 404


def test_refuses_a_watched_logs_key_for_another_origin(tmp_path: Path):
    log, other = WitnessedLog([b"a"]), WitnessedLog([b"a"], origin="log.example/custody")
    make_folder(tmp_path / "w", SIGNER.key)
    keys = (log.signer.key, other.signer.key)
    with witness_of(tmp_path / "w", ManualClock(), *keys) as witness:
        text = other.checkpoint().encode()
        body = AddCheckpoint(old_size=0, hashes=(), note=sign_note(text, [log.signer]))
        with pytest.raises(CheckpointRefused) as refused:
            witness.add_checkpoint(body.encode())
        assert refused.value.status == 403
        witness.add_checkpoint(log.request(0))
        witness.add_checkpoint(other.request(0))


@pytest.mark.parametrize("body", [b"", b"old 0\n", b"old 0\n\nnonsense\n", b"\xff" * 50])
def test_refuses_what_is_no_request(world: World, body: bytes):
    assert world.status(body) == 400


def test_refuses_a_note_that_is_no_checkpoint(world: World):
    note = sign_note(b"hello\n", [world.log.signer])
    assert world.status(AddCheckpoint(old_size=0, hashes=(), note=note).encode()) == 400


def test_a_refusal_changes_nothing(world: World):
    world.add(world.log.request(0, 7))
    before = {path: path.read_bytes() for path in world.folder.iterdir()}
    world.clock.advance(60)
    world.status(forged_like(world.log).request(7, 12))
    world.status(world.log.request(0, 12))
    assert {path: path.read_bytes() for path in world.folder.iterdir()} == before
    world.add(world.log.request(7, 12))


def test_signs_nothing_while_its_clock_is_behind_its_last_signature(world: World):
    world.add(world.log.request(0, 7))
    world.clock.advance(-3600)
    assert world.status(world.log.request(7, 12)) == 503
    world.clock.advance(3601)
    world.add(world.log.request(7, 12))


def test_goes_on_where_it_stopped(world: World):
    world.add(world.log.request(0, 12))
    with pytest.raises(WitnessError, match="in use"):
        WitnessFolder.open(world.folder, SIGNER.key)
    kept = (world.folder / file_name(ORIGIN)).read_bytes()
    again = world.folder.with_name("again")
    make_folder(again, SIGNER.key)
    (again / file_name(ORIGIN)).write_bytes(kept)
    with witness_of(again, world.clock, world.log.signer.key) as witness:
        with pytest.raises(SizeConflict):
            witness.add_checkpoint(world.log.request(0, 12))
        with pytest.raises(CheckpointRefused):
            witness.add_checkpoint(forged_like(world.log).request(12, 20))
        witness.add_checkpoint(world.log.request(12, 20))


def test_does_not_start_with_a_memory_that_was_altered(world: World):
    world.add(world.log.request(0, 12))
    path = world.folder / file_name(ORIGIN)
    note = path.read_bytes()
    smaller = world.log.signed(3)  # the log's operator puts an older checkpoint there
    for altered in (b"", note[:-5], note.replace(b"\n12\n", b"\n11\n"), smaller):
        path.write_bytes(altered)
        folder = WitnessFolder(world.folder, SIGNER.key, -1)
        with pytest.raises(WitnessError, match="was altered or damaged"):
            folder.read(ORIGIN, [world.log.signer.key])


def test_does_not_start_without_the_memory_of_its_key(tmp_path: Path):
    with pytest.raises(WitnessError, match="retire this key"):
        WitnessFolder.open(tmp_path / "lost", SIGNER.key)
    other = NoteSigner.generate("witness.example/own", "cosignature")
    make_folder(tmp_path / "others", other.key)
    with pytest.raises(WitnessError, match="another witness's key"):
        WitnessFolder.open(tmp_path / "others", SIGNER.key)


def test_gives_no_signature_away_that_it_could_not_write_down(world: World):
    world.add(world.log.request(0, 7))
    beside = world.folder / (file_name(ORIGIN) + ".new")
    beside.mkdir()  # so that it can't be written
    with pytest.raises(WitnessError, match="can't be written down"):
        world.witness.add_checkpoint(world.log.request(7, 12))
    beside.rmdir()
    world.add(world.log.request(7, 12))


@contextlib.asynccontextmanager
async def web_of(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=server.build_server(world.witness))
    async with httpx2.AsyncClient(transport=transport, base_url="http://witness") as web:
        yield web


async def test_answers_as_the_specification_says(world: World):
    async with web_of(world) as web:
        signed = await web.post("/add-checkpoint", content=world.log.request(0, 7))
        conflict = await web.post("/add-checkpoint", content=world.log.request(0, 7))
        refused = await web.post("/add-checkpoint", content=forged_like(world.log).request(7))
    assert (signed.status_code, len(parse_signatures(signed.content))) == (200, 1)
    assert (conflict.status_code, conflict.content) == (409, b"7\n")
    assert conflict.headers["content-type"] == "text/x.tlog.size"
    assert (refused.status_code, refused.text[:5]) == (422, "the c")


async def test_says_in_words_what_it_is_and_what_it_signed(world: World):
    async with web_of(world) as web:
        before = (await web.get("/")).text
        await web.post("/add-checkpoint", content=world.log.request(0, 7))
        after = (await web.get("/")).text
    assert SIGNER.key.vkey in before
    assert f"{ORIGIN}: nothing signed yet" in before
    assert f"{ORIGIN}: 7 entries, signed 2026-09-21 " in after


async def test_shows_the_last_checkpoint_of_a_log(world: World):
    path = f"/{server.origin_hash(ORIGIN)}/checkpoint"
    async with web_of(world) as web:
        assert (await web.get(path)).status_code == 404
        await web.post("/add-checkpoint", content=world.log.request(0, 7))
        shown = await web.get(path)
        assert (await web.get("/" + "0" * 64 + "/checkpoint")).status_code == 404
    opened = open_checkpoint(
        shown.content, logs=[world.log.signer.key], witnesses={"w": SIGNER.key}
    )
    assert (opened.checkpoint.size, opened.times_ms.keys()) == (7, {"w"})


async def test_a_strangers_signatures_are_not_kept(world: World):
    note = parse_note(world.log.cosigned(size=7, ann=1, bea=1)).encode()
    body = AddCheckpoint(old_size=0, hashes=(), note=note).encode()
    async with web_of(world) as web:
        await web.post("/add-checkpoint", content=body)
        shown = await web.get(f"/{server.origin_hash(ORIGIN)}/checkpoint")
    assert len(parse_note(shown.content).signatures) == 2


async def test_a_large_request_is_refused_before_it_is_whole(world: World):
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 16 * 1024
            yield bytes(16 * 1024)

    async with web_of(world) as web:
        answer = await web.post("/add-checkpoint", content=chunks())
    assert answer.status_code == 413
    assert sent <= MAX_REQUEST_BYTES + 2 * 16 * 1024


async def test_a_slow_request_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "READ_WITHIN_S", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"old 0\n"
        await asyncio.sleep(5)

    async with web_of(world) as web:
        assert (await web.post("/add-checkpoint", content=slow())).status_code == 408


async def test_of_two_histories_at_once_only_one_is_signed(world: World):
    world.add(world.log.request(0, 1))
    longer = WitnessedLog([world.log.entries[0], *(b"other %d" % n for n in range(19))])
    longer.signer = world.log.signer
    async with web_of(world) as web:
        answers = await asyncio.gather(
            *(
                web.post("/add-checkpoint", content=log.request(1, size))
                for size in range(2, 20)
                for log in (world.log, longer)
            )
        )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [409] * 35


async def test_only_the_specified_methods_and_paths_exist(world: World):
    async with web_of(world) as web:
        assert (await web.get("/add-checkpoint")).status_code == 405
        assert (await web.post("/")).status_code == 405
        assert (await web.get("/elsewhere")).status_code == 404
