"""The vault: round trip, truncation, bit flips, swapped records, failing cards, golden files."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.errors import VaultError
from firmware.protocol.encoding import new_id, unb64u
from firmware.vault.recovery_words import make_recovery_key, parse_recovery_secret
from firmware.vault.sealed_file import (
    MAGIC,
    MAX_RECORD_BYTES,
    Cipher,
    Kind,
    SealedFile,
    SealedWriter,
    Vault,
    VaultHeader,
    fastest_cipher,
    open_with_recovery_key,
    read_header,
)
from firmware.vault.storage_key import FileStorageKey
from tests.fakes.waiting import PATIENCE_S

CIPHERS: list[Cipher] = ["aes-256-gcm", "chacha20-poly1305"]
RECORDS = [
    (Kind.START, b"{}"),
    (Kind.FRAGMENT, bytes(range(90))),
    (Kind.FRAGMENT, b"more film" * 7),
    (Kind.END, b""),
]
ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/vectors/vault.json").read_text("utf-8"))
RECOVERY = X25519PrivateKey.generate()


@pytest.fixture(params=CIPHERS)
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    return vault_in(tmp_path, cipher=request.param)


def vault_in(folder: Path, *, cipher: Cipher = "chacha20-poly1305") -> Vault:
    public = RECOVERY.public_key().public_bytes_raw()
    key = FileStorageKey(folder / "storage.key")
    return Vault(key, recovery_keys=[public], cipher=cipher)


def sealed(vault: Vault, path: Path, records: list[tuple[Kind, bytes]] = RECORDS) -> Path:
    writer = vault.create(path, new_id())
    for kind, plain in records:
        writer.append(kind, plain)
    writer.sync()
    writer.close()
    return path


def plain_of(file: SealedFile) -> list[tuple[Kind, bytes]]:
    return [(record.kind, record.plain) for record in file.records()]


def read_what_opens(vault: Vault, path: Path) -> list[tuple[Kind, bytes]]:
    """Return the records up to the first that doesn't open."""
    found: list[tuple[Kind, bytes]] = []
    try:
        for record in vault.open(path).records():
            found.append((record.kind, record.plain))  # noqa: PERF401 (keeps what came before)
    except VaultError:
        pass
    return found


def borders(path: Path) -> tuple[int, list[bytes]]:
    """Return where the records begin, and each record's bytes."""
    data = path.read_bytes()
    begin = read_header(path)[1]
    pieces, position = [], begin
    while position < len(data):
        end = position + 5 + int.from_bytes(data[position : position + 4], "big")
        pieces.append(data[position:end])
        position = end
    return begin, pieces


def test_what_was_sealed_opens_again(vault: Vault, tmp_path: Path) -> None:
    path = sealed(vault, tmp_path / "a.clip")
    assert plain_of(vault.open(path)) == RECORDS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=300)), max_size=6))
def test_any_records_survive_the_round_trip(tmp_path, records):
    vault = vault_in(tmp_path)
    path = tmp_path / f"{new_id()}.clip"
    assert plain_of(vault.open(sealed(vault, path, [*records, (Kind.END, b"")]))) == [
        *records,
        (Kind.END, b""),
    ]


def test_a_file_is_for_its_owner_only_and_never_written_over(vault: Vault, tmp_path: Path) -> None:
    path = sealed(vault, tmp_path / "a.clip")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        vault.create(path, new_id())
    (tmp_path / "link.clip").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        vault.create(tmp_path / "link.clip", new_id())
    assert not (tmp_path / "elsewhere").exists()


def test_each_file_has_a_data_key_of_its_own(vault: Vault, tmp_path: Path) -> None:
    one, two = (sealed(vault, tmp_path / f"{n}.clip") for n in "ab")
    assert borders(one)[1] != borders(two)[1]
    assert read_header(one)[0].wrapped_key != read_header(two)[0].wrapped_key


def test_cut_anywhere_it_is_refused_or_a_shorter_film(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    whole = sealed(vault, tmp_path / "a.clip").read_bytes()
    begin, pieces = borders(tmp_path / "a.clip")
    ends = [begin + sum(map(len, pieces[:count])) for count in range(1, len(pieces) + 1)]
    cut = tmp_path / "cut.clip"
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        if size < begin:
            with pytest.raises(VaultError):
                vault.open(cut)
            continue
        file = vault.open(cut)
        count = sum(end <= size for end in ends)
        assert plain_of(file) == RECORDS[:count]
        assert len(file.offsets()) == count


def test_a_flipped_bit_never_opens_as_anything_else(vault: Vault, tmp_path: Path) -> None:
    whole = sealed(vault, tmp_path / "a.clip").read_bytes()
    flipped = tmp_path / "flipped.clip"
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        flipped.write_bytes(data)
        found = read_what_opens(vault, flipped)
        assert found == RECORDS[: len(found)], position
        assert len(found) < len(RECORDS), f"byte {position} isn't protected"


def test_swapped_repeated_and_missing_records_are_refused(vault: Vault, tmp_path: Path) -> None:
    path = sealed(vault, tmp_path / "a.clip")
    begin, (start, first, second, end) = borders(path)
    header = path.read_bytes()[:begin]
    for order in (
        [start, second, first, end],
        [start, first, first, end],
        [start, second, end],
        [first, second, end],
        [start, end],
    ):
        path.write_bytes(header + b"".join(order))
        with pytest.raises(VaultError, match="damaged"):
            plain_of(vault.open(path))


def test_a_record_of_another_file_is_refused(vault: Vault, tmp_path: Path) -> None:
    clip_id = new_id()
    paths = [tmp_path / "a.clip", tmp_path / "b.clip"]
    for path in paths:
        writer = vault.create(path, clip_id)
        writer.append(Kind.START, b"the same in both")
        writer.close()
    begin, _ = borders(paths[0])
    paths[0].write_bytes(paths[0].read_bytes()[:begin] + borders(paths[1])[1][0])
    with pytest.raises(VaultError, match="record 0 is damaged"):
        plain_of(vault.open(paths[0]))


def test_a_record_cannot_be_passed_off_as_another_kind(vault: Vault, tmp_path: Path) -> None:
    path = sealed(vault, tmp_path / "a.clip")
    data = bytearray(path.read_bytes())
    data[borders(path)[0] + 4] = Kind.END
    path.write_bytes(data)
    with pytest.raises(VaultError, match="record 0 is damaged"):
        plain_of(vault.open(path))


@pytest.mark.parametrize(
    "change",
    [
        {"clip_id": "a" * 26},
        {"purpose": "thumbnail"},
        {"recovery": []},
        {"cipher": "aes-256-gcm"},
        {"storage_key": "0" * 16},
        {"wrapped_key": "AAAA"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_header_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    vault = vault_in(tmp_path)
    path = sealed(vault, tmp_path / "a.clip")
    header, begin = read_header(path)
    changed = msgspec.convert(msgspec.to_builtins(header) | change, VaultHeader).encode()
    rest = path.read_bytes()[begin:]
    path.write_bytes(MAGIC + len(changed).to_bytes(4, "big") + changed + rest)
    with pytest.raises(VaultError):
        plain_of(vault.open(path))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MAGIC,
        b"NOTAVAULT" + bytes(40),
        MAGIC + b"\x00\x00\x00\x00",
        MAGIC + b"\xff\xff\xff\xff" + bytes(40),
        MAGIC + b"\x00\x00\x00\x02{}",
    ],
)
def test_what_is_no_sealed_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.clip"
    path.write_bytes(data)
    with pytest.raises(VaultError):
        vault_in(tmp_path).open(path)


def test_links_and_pipes_on_a_strange_card_are_not_opened(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    sealed(vault, tmp_path / "a.clip")
    (tmp_path / "link.clip").symlink_to(tmp_path / "a.clip")
    with pytest.raises(OSError, match="symbolic links"):
        vault.open(tmp_path / "link.clip")
    os.mkfifo(tmp_path / "pipe.clip")
    with pytest.raises(VaultError, match="not a plain file"):
        vault.open(tmp_path / "pipe.clip")


def test_another_storage_key_is_named_as_the_reason(vault: Vault, tmp_path: Path) -> None:
    path = sealed(vault, tmp_path / "a.clip")
    other = Vault(FileStorageKey(tmp_path / "other.key"))
    with pytest.raises(VaultError, match="another storage key"):
        other.open(path)


def test_the_recovery_key_opens_it_and_a_strangers_does_not(vault: Vault, tmp_path: Path) -> None:
    path = sealed(vault, tmp_path / "a.clip")
    assert plain_of(open_with_recovery_key(path, RECOVERY.private_bytes_raw())) == RECORDS
    stranger = X25519PrivateKey.generate().private_bytes_raw()
    with pytest.raises(VaultError, match="recovery key"):
        open_with_recovery_key(path, stranger)


@pytest.mark.parametrize("public", [bytes(32), b"short", b"\x01" + bytes(31)])
def test_a_recovery_key_that_takes_nothing_is_refused_before_the_first_clip(
    tmp_path: Path, public: bytes
) -> None:
    with pytest.raises(VaultError, match="recovery key"):
        Vault(FileStorageKey(tmp_path / "storage.key"), recovery_keys=[public])


def test_more_recovery_keys_than_a_header_holds_are_refused(tmp_path: Path) -> None:
    keys = [X25519PrivateKey.generate().public_key().public_bytes_raw() for _ in range(5)]
    vault = Vault(FileStorageKey(tmp_path / "storage.key"), recovery_keys=keys[:4])
    assert plain_of(vault.open(sealed(vault, tmp_path / "a.clip"))) == RECORDS
    with pytest.raises(VaultError, match="at most 4"):
        Vault(FileStorageKey(tmp_path / "storage.key"), recovery_keys=keys)


def test_a_record_is_read_from_the_middle(vault: Vault, tmp_path: Path) -> None:
    file = vault.open(sealed(vault, tmp_path / "a.clip"))
    offsets = file.offsets()
    assert len(offsets) == len(RECORDS)
    record = file.read(2, offsets[2])
    assert (record.kind, record.plain) == RECORDS[2]
    assert record.end == offsets[3]
    with pytest.raises(VaultError, match="damaged"):
        file.read(1, offsets[2])
    with pytest.raises(VaultError, match="ends within"):
        file.read(4, record.end + 10_000)


def test_a_file_can_be_read_while_it_is_written(vault: Vault, tmp_path: Path) -> None:
    writer = vault.create(tmp_path / "a.clip", new_id())
    writer.append(*RECORDS[0])
    file = vault.open(tmp_path / "a.clip")
    assert plain_of(file) == RECORDS[:1]
    writer.append(*RECORDS[1])
    assert plain_of(file) == RECORDS[:2]
    writer.close()
    writer.close()


def test_a_record_too_large_to_be_read_is_never_sealed(vault: Vault, tmp_path: Path) -> None:
    writer = vault.create(tmp_path / "a.clip", new_id())
    with pytest.raises(VaultError, match="at most"):
        writer.append(Kind.FRAGMENT, bytes(MAX_RECORD_BYTES + 1))
    writer.append(Kind.FRAGMENT, b"goes on")
    writer.close()
    assert plain_of(vault.open(tmp_path / "a.clip")) == [(Kind.FRAGMENT, b"goes on")]


def test_the_size_is_what_lies_in_the_file(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "a.clip"
    writer: SealedWriter = vault.create(path, new_id())
    for kind, plain in RECORDS:
        writer.append(kind, plain)
        assert writer.size_bytes == path.stat().st_size
        writer.sync()
        assert writer.size_bytes == path.stat().st_size
    writer.close()


@pytest.mark.parametrize("cipher", CIPHERS)
def test_golden_files_open_with_the_storage_key_and_with_the_words(
    tmp_path: Path, cipher: Cipher
) -> None:
    path = tmp_path / "a.clip"
    path.write_bytes(unb64u(VECTORS["files"][cipher]))
    key_file = tmp_path / "storage.key"
    key_file.write_bytes(unb64u(VECTORS["storage_key"]))
    key_file.chmod(0o600)
    wanted = [(Kind(r["kind"]), unb64u(r["plain"])) for r in VECTORS["records"]]
    assert plain_of(Vault(FileStorageKey(key_file)).open(path)) == wanted
    secret = parse_recovery_secret(VECTORS["recovery_words"])
    assert plain_of(open_with_recovery_key(path, secret)) == wanted
    assert read_header(path)[0].clip_id == VECTORS["clip_id"]


def test_a_new_recovery_key_opens_what_is_sealed_to_it(tmp_path: Path) -> None:
    recovery = make_recovery_key()
    key = FileStorageKey(tmp_path / "storage.key")
    vault = Vault(key, recovery_keys=[unb64u(recovery.public_text)])
    path = sealed(vault, tmp_path / "a.clip")
    secret = parse_recovery_secret(" ".join(recovery.words))
    assert plain_of(open_with_recovery_key(path, secret)) == RECORDS


CPU_OF_A_PI_4 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n"
CPU_OF_A_PI_5 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\n"
CPU_OF_A_PC = "processor\t: 0\nmodel name\t: aes machine\nflags\t\t: fpu sse2 {} avx\n"


@pytest.mark.parametrize(
    ("cpu_info", "cipher"),
    [
        (CPU_OF_A_PI_4, "chacha20-poly1305"),
        (CPU_OF_A_PI_5, "aes-256-gcm"),
        (CPU_OF_A_PC.format("aes"), "aes-256-gcm"),
        (CPU_OF_A_PC.format("vaes"), "chacha20-poly1305"),
        ("", "chacha20-poly1305"),
    ],
)
def test_the_cpu_chooses_a_cipher(tmp_path: Path, cpu_info: str, cipher: str) -> None:
    (tmp_path / "cpuinfo").write_text(cpu_info)
    assert fastest_cipher(tmp_path / "cpuinfo") == cipher


# The next ones need a card that fails, so they seal in a process of their own.

SEAL_ON_A_FULL_CARD = """
    import resource, sys
    from pathlib import Path
    from tests.firmware.test_vault import Kind, vault_in
    folder = Path(sys.argv[1])
    writer = vault_in(folder).create(folder / "a.clip", "a" * 26)
    writer.append(Kind.START, b"{}")
    writer.sync()
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (writer.size_bytes + 1000, hard))
    for number in range(3):
        try:
            writer.append(Kind.FRAGMENT, bytes([number]) * 700)
        except OSError as error:
            print("failed", number, error.errno)
    (folder / "torn").write_bytes((folder / "a.clip").read_bytes())
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    writer.write_rest()
    writer.append(Kind.END, b"")
    writer.sync()
"""

SEAL_ON_A_CARD_THAT_FAILS_A_SYNC = """
    import sys
    from pathlib import Path
    from tests.firmware.test_vault import RECORDS, vault_in
    folder = Path(sys.argv[1])
    writer = vault_in(folder).create(folder / "a.clip", "a" * 26)
    for kind, plain in RECORDS:
        writer.append(kind, plain)
        before = writer.size_bytes
        try:
            writer.sync()
        except OSError as error:
            print("failed", error.errno, before - writer.size_bytes)
            writer.sync()
"""


def run_apart(script: str, folder: Path, *, under: tuple[str, ...] = ()) -> str:
    program = [*under, sys.executable, "-c", textwrap.dedent(script), str(folder)]
    done = subprocess.run(
        program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_record_that_did_not_fit_is_written_later_with_the_same_bytes(tmp_path: Path) -> None:
    said = run_apart(SEAL_ON_A_FULL_CARD, tmp_path)
    assert said == "failed 1 27\nfailed 2 27\n"
    torn, whole = ((tmp_path / name).read_bytes() for name in ("torn", "a.clip"))
    assert whole.startswith(torn)
    assert len(torn) < len(whole)
    (tmp_path / "torn").chmod(0o600)
    vault = vault_in(tmp_path)
    film = [(Kind.FRAGMENT, bytes([number]) * 700) for number in range(3)]
    assert plain_of(vault.open(tmp_path / "torn")) == [(Kind.START, b"{}"), film[0]]
    assert plain_of(vault.open(tmp_path / "a.clip")) == [
        (Kind.START, b"{}"),
        *film,
        (Kind.END, b""),
    ]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing (apt: strace)")
@pytest.mark.parametrize("failing", [1, 3])
def test_after_a_failed_sync_the_same_bytes_are_written_to_the_same_place(
    tmp_path: Path, failing: int
) -> None:
    log = tmp_path / "strace.log"
    inject = f"inject=fdatasync:error=EIO:when={failing}"
    what = ("-e", "trace=pwrite64,fdatasync", "-e", inject)
    strace = ("strace", "-f", "-o", str(log), "-xx", "-s", "100000", *what)
    said = run_apart(SEAL_ON_A_CARD_THAT_FAILS_A_SYNC, tmp_path, under=strace)
    assert re.fullmatch(r"failed 5 [1-9]\d*\n", said), said
    assert plain_of(vault_in(tmp_path).open(tmp_path / "a.clip")) == RECORDS
    writes = re.findall(r'pwrite64\(\d+, "((?:\\x..)*)", \d+, (\d+)\)', log.read_text("ascii"))
    assert len(writes) == len(RECORDS) + 1, "what the failed sync left out is written again"
    final = (tmp_path / "a.clip").read_bytes()
    for text, offset in writes:  # two plain texts under one nonce would differ somewhere
        data = bytes.fromhex(text.replace("\\x", ""))
        assert final[int(offset) : int(offset) + len(data)] == data


def test_no_nonce_is_used_for_two_plain_texts(tmp_path: Path) -> None:
    """Each (data key, record number) has sealed one text, over files and broken-off files."""
    vault = vault_in(tmp_path)
    wrapped: set[str] = set()
    for number in range(20):
        path = tmp_path / f"{number}.clip"
        writer = vault.create(path, "a" * 26)
        for record in range(3):
            writer.append(Kind.FRAGMENT, bytes([number, record]))
        writer.close()  # as a dead process would: no sync, no end
        wrapped.add(read_header(path)[0].wrapped_key)
        with pytest.raises(FileExistsError):
            vault.create(path, "a" * 26)
    assert len(wrapped) == 20


SEAL_AND_SYNC_EACH = """
    import sys
    from pathlib import Path
    from tests.firmware.test_vault import RECORDS, vault_in
    folder = Path(sys.argv[1])
    writer = vault_in(folder).create(folder / "clips" / "a.clip", "a" * 26)
    for kind, plain in RECORDS:
        writer.append(kind, plain)
        writer.sync()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing (apt: strace)")
def test_each_record_is_synced_and_the_folder_once(tmp_path: Path) -> None:
    log, clips = tmp_path / "strace.log", tmp_path / "clips"
    clips.mkdir()
    tracing = ("strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(log))
    run_apart(SEAL_AND_SYNC_EACH, tmp_path, under=tracing)
    lines = log.read_text("utf-8", "replace").splitlines()
    of_the_clip = [line for line in lines if f"<{clips}/a.clip>" in line]
    of_the_folder = [line for line in lines if f"<{clips}>" in line]
    assert (len(of_the_clip), len(of_the_folder)) == (len(RECORDS), 1)
