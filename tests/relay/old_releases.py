"""Older releases of the relay, from this repository's own history, run as they were."""

import io
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from relay.config.loader import load
from relay.config.settings import Config
from tests.fakes.ports import free_port
from tests.house.documents import REPOSITORY
from tests.relay.relay_processes import RelayProcess

RELEASES = {
    "0.1.0": "0e658b085c7251e6e577ecae87f9a78672b736be",
}
"""The last commit of each."""


def reason_against(release: str) -> str:
    """Return why a release can't be run here, or nothing."""
    asked = ["git", "-C", str(REPOSITORY), "cat-file", "-e", f"{RELEASES[release]}^{{commit}}"]
    try:
        is_there = subprocess.run(asked, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return "git isn't installed here"
    return "" if is_there else f"this clone doesn't go back to {release} (git fetch --unshallow)"


@dataclass(frozen=True)
class OldRelease:
    """The code of an older release in a folder of its own, with today's libraries."""

    tree: Path

    def init(self, folder: Path, database_url: str) -> Config:
        """Let its `init` write a relay with free ports."""
        ports = [free_port() for _ in range(4)]
        options = {
            "--data": folder,
            "--listen": f"127.0.0.1:{ports[0]}",
            "--public-url": f"http://localhost:{ports[0]}",
            "--mqtt-port": ports[1],
            "--nats-port": ports[2],
            "--s3-port": ports[3],
            "--database-url": database_url,
        }
        self.run("init", *(str(word) for option in options.items() for word in option))
        return load(folder / "relay.toml")

    def run(self, *arguments: str) -> str:
        """Run `doorward-relay` to its end, and return what it printed."""
        command = [sys.executable, "-m", "relay", *arguments]
        done = subprocess.run(command, cwd=self.tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def process(self, config: Config) -> RelayProcess:
        """Return its `serve`, which isn't started yet."""
        log = config.data_dir / "old-relay.log"
        return RelayProcess(config, "", log, tree=self.tree)


def unpack(release: str, folder: Path) -> OldRelease:
    """Write a release's code into a new folder."""
    wanted = ["git", "-C", str(REPOSITORY), "archive", RELEASES[release], "relay", "firmware"]
    archive = subprocess.run(wanted, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return OldRelease(folder)
