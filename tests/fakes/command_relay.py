"""A new relay's folder, for commands that are run on it: a database, logs, a policy, a change."""

from collections.abc import Callable
from pathlib import Path

from relay.__main__ import main as relay
from relay.tools.witness.cli import main as witness
from relay.tools.witness.folder import folder_key


def make_command_relay(folder: Path) -> Path:
    """Make a relay with its commands, in a folder that isn't there yet, and return the folder.

    `relay.toml` is its configuration, `change.json` a change that waits for signatures, and
    `witness/` the folder of the one witness in `policy.txt`.
    """
    config = ["--config", f"{folder}/relay.toml"]
    _run(relay, ["init", "--data", str(folder)])
    _run(relay, ["log", "init", "--name", "relay.example", *config])
    key = ["--key", f"{folder}/witness.key"]
    _run(witness, ["keygen", "--name", "w.example/1", *key, "--data", f"{folder}/witness"])
    policy = ["--out", f"{folder}/policy.txt", "--quorum", "1"]
    _run(relay, ["log", "policy", "--witness", witness_option(folder), *policy, *config])
    suspend = ["suspend", "--agency", "lake", "--origin", "relay.example/register"]
    _run(relay, ["admin", "propose", *suspend, "--out", f"{folder}/change.json"])
    return folder


def witness_option(folder: Path) -> str:
    """Return the witness as `doorward-relay log policy --witness` takes it."""
    return f"w={folder_key(folder / 'witness').vkey}@http://localhost:1"


def _run(main: Callable[[list[str]], int], words: list[str]) -> None:
    if main(words) != 0:
        raise RuntimeError(f"the command failed: {' '.join(words)}")
