"""Files of the logs' signing keys and policy. A key is secret, and signs for one log only."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import EXAMPLE_PREFIX
from firmware.protocol.shards import KEYWORD
from firmware.protocol.tlog.policy import CHARTER, Policy, parse_policy, policy_text
from firmware.protocol.tlog.signed_note import NoteKey, NoteSigner, parse_key
from relay.config.settings import LogConfig
from relay.custody.errors import LogError

REGISTER_KEY_FILE = "log-register.key"
CUSTODY_KEY_FILE = "log-custody.key"
POLICY_FILE = "policy.txt"
OTHERS = 0o077


def make_keys(folder: Path, name: str) -> dict[str, NoteKey]:
    """Write both logs' new keys into a folder, or raise LogError if there are any."""
    paths = {"register": folder / REGISTER_KEY_FILE, "custody": folder / CUSTODY_KEY_FILE}
    for path in paths.values():
        if path.exists():
            raise LogError(f"{path} is there already: a log keeps its key, nothing was changed")
    made = {}
    for log, path in paths.items():
        signer = NoteSigner.generate(f"{name}/{log}", "ed25519")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(signer.saved() + "\n")
        made[log] = signer.key
    return made


def read_signer(path: Path) -> NoteSigner:
    """Read one log's key, or raise LogError, also if others than its owner may read the file."""
    try:
        if path.stat().st_mode & OTHERS:
            raise LogError(f"others can read {path}: chmod 600 {path}, and think about a new key")
        return NoteSigner.parse(path.read_text().strip())
    except OSError as error:
        raise LogError(
            f"{path}: {error.strerror}; `doorward-relay log init` makes a log's keys"
        ) from error
    except (WireError, UnicodeDecodeError) as error:
        raise LogError(f"{path} holds no log's key: {error}") from error


def read_key_file(path: Path, origin: str, policy: Policy) -> NoteSigner:
    """Read the key that signs for `origin`, which the policy must know."""
    signer = read_signer(path)
    if signer.key.name != origin:
        raise LogError(f"{path} is the key of {signer.key.name}, not of {origin}")
    if signer.key not in [log.key for log in policy.logs]:
        raise LogError(f"the policy lacks the key of {origin}, so nobody would accept its log")
    return signer


def read_policy_file(config: LogConfig) -> Policy:
    """Read the policy, or raise LogError; it must have each witness's URL."""
    path = config.policy_path
    try:
        policy = parse_policy(path.read_bytes())
    except OSError as error:
        raise LogError(
            f"{path}: {error.strerror}; `doorward-relay log policy --out {path}` writes it"
        ) from error
    except WireError as error:
        raise LogError(f"{path}: {error}") from error
    for witness in policy.witnesses:
        if witness.url is None or not witness.url.startswith(("https://", "http://")):
            raise LogError(f"{path} gives no http(s) address of the witness {witness.name}")
    return policy


def make_policy(
    logs: Sequence[NoteKey],
    witnesses: Mapping[str, tuple[NoteKey, str]],
    quorum: int,
    charters: Mapping[str, str],
) -> bytes:
    """Return a policy's text, or raise LogError."""
    if not 1 <= quorum <= len(witnesses):
        raise LogError(f"a quorum is 1 to {len(witnesses)} of the witnesses that are named")
    text = policy_text(
        logs=logs,
        witnesses={name: key for name, (key, _) in witnesses.items()},
        threshold=quorum,
        urls={name: url for name, (_, url) in witnesses.items()},
        charters=charters,
    )
    try:
        parse_policy(text)
    except WireError as error:
        raise LogError(f"these can't be a policy: {error}") from error
    return text


def name_charter(path: Path, origin: str, digest: str) -> str:
    """Add a register's charter to the policy in a file; return the line, or raise LogError.

    Where there is no policy yet, whoever makes it adds the line.
    """
    line = f"{CHARTER} {origin} {digest}"
    try:
        if path.exists():
            added = f"{line}\n".encode()
            parse_policy(path.read_bytes() + added)
            with path.open("ab") as file:
                file.write(added)
    except OSError as error:
        raise LogError(f"{path}: the charter isn't named in it: {error.strerror}") from error
    except WireError as error:
        raise LogError(f"{path}: the charter isn't named in it: {error}") from error
    return line


def charters_in(path: Path | None) -> dict[str, str]:
    """Return the charters that the policy in a file names; none if it isn't there, or is none."""
    try:
        return {} if path is None else dict(parse_policy(path.read_bytes()).charters)
    except (OSError, WireError):
        return {}


def shards_line_in(path: Path | None) -> bytes:
    """Return the line of the policy in a file that names the signers of shards; or nothing."""
    try:
        text = b"" if path is None else path.read_bytes()
    except OSError:
        return b""
    lines = [
        line for line in text.splitlines(keepends=True) if line.split()[:1] == [KEYWORD.encode()]
    ]
    return b"".join(lines)


def parse_witness(text: str) -> tuple[str, tuple[NoteKey, str]]:
    """Parse NAME=VKEY@URL, or raise ValueError."""
    name, _, rest = text.partition("=")
    vkey, at, url = rest.rpartition("@")
    if not name or not at or not url.startswith(("http://", "https://")) or " " in text:
        raise ValueError(text)
    return name, (parse_key(vkey), url)


def name_of(name: str, *, is_example: bool) -> str:
    """Return the prefix of the logs' origins; an example town's is always marked as such."""
    if name.startswith(EXAMPLE_PREFIX) and not is_example:
        raise LogError(f'"{EXAMPLE_PREFIX}" is for invented towns: say --example, or another name')
    return f"{EXAMPLE_PREFIX}{name}" if is_example and not name.startswith(EXAMPLE_PREFIX) else name
