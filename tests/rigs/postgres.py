"""A PostgreSQL cluster of the tests' own, on a socket in a folder of its own.

As a program it runs a command with DOORWARD_TEST_DATABASE set: python -m tests.rigs.postgres pytest
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = "PostgreSQL isn't installed here (initdb, psql): .ci/debian postgresql"
SHARED_MEMORY = Path("/dev/shm")


def programs() -> Path | None:
    """Return the folder of the server's programs; None: they aren't installed."""
    found = shutil.which("initdb") or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)), None
    )
    return None if found is None or shutil.which("psql") is None else Path(found).resolve().parent


@contextmanager
def run_postgres(at: Path, *, locale: str = "C.UTF-8", fsync: str = "on") -> Iterator[Path]:
    """Run a server with the programs `at`; yields the folder with its socket, for user doorward."""
    user = "nobody" if os.getuid() == 0 else None  # it refuses to run as root
    in_memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="doorward-", dir=in_memory) as folder:
        if user is not None:
            shutil.chown(folder, user)
        cluster = f"{folder}/cluster"
        made = [str(at / "initdb"), "-D", cluster, "-U", "doorward", "-A", "trust", "-N"]
        made += ["-E", "UTF8", f"--locale={locale}"]
        subprocess.run(made, check=True, capture_output=True, user=user)
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync={fsync}"
        options += " -c shared_buffers=32MB -c max_connections=200"
        control = [str(at / "pg_ctl"), "-D", cluster, "-w"]
        # Its log goes to a file: a pipe would be held open by the server.
        start = [*control, "-l", f"{folder}/log", "-o", options, "start"]
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, user=user)
        try:
            yield Path(folder)
        finally:
            stop = [*control, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, user=user)


class Pair:
    """A primary and its standby on loopback: what one commits, the other has on its disk too."""

    def __init__(self, at: Path, folder: Path, ports: tuple[int, int]) -> None:
        self._at, self._folder, self.ports = at, folder, ports
        self._user = "nobody" if os.getuid() == 0 else None

    @property
    def url(self) -> str:
        """The URL of both, as it stands in relay.toml; for the database `postgres`."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://doorward@{hosts}/postgres?target_session_attrs=read-write"

    def start(self) -> None:
        primary, standby = self._folder / "primary", self._folder / "standby"
        made = ["-D", str(primary), "-U", "doorward", "-A", "trust", "-N", "-E", "UTF8"]
        self._run("initdb", *made, "--locale=C.UTF-8")
        self._start(primary, self.ports[0])
        source = ["-h", "127.0.0.1", "-p", str(self.ports[0]), "-U", "doorward"]
        self._run("pg_basebackup", *source, "-D", str(standby), "-R", "-X", "stream", "-c", "fast")
        self._start(standby, self.ports[1])
        for words in (
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        ):
            self._run("psql", *source, "-d", "postgres", "-qc", words)

    def kill_primary(self) -> None:
        """Kill the primary's every process, as a power cut does."""
        pid = int((self._folder / "primary" / "postmaster.pid").read_text().split()[0])
        os.killpg(pid, signal.SIGKILL)

    def promote(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "standby"), "-w", "promote")

    def pause_replay(self) -> None:
        """Let the standby keep what comes, and replay none of it."""
        at = ["-h", "127.0.0.1", "-p", str(self.ports[1]), "-U", "doorward", "-d", "postgres"]
        self._run("psql", *at, "-qc", "SELECT pg_wal_replay_pause()")

    def stop(self) -> None:
        for name in ("primary", "standby"):
            with contextlib.suppress(subprocess.CalledProcessError):
                cluster = str(self._folder / name)
                self._run("pg_ctl", "-D", cluster, "-w", "-m", "immediate", "stop")

    def _start(self, cluster: Path, port: int) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="
        options += " -c shared_buffers=32MB -c max_connections=100 -c wal_level=replica"
        if cluster.name == "standby":  # once it is promoted it waits for nobody
            options += " -c synchronous_standby_names="
        log = ["-l", f"{cluster}.log", "-o", options]
        self._run("pg_ctl", "-D", str(cluster), "-w", *log, "start")

    def _run(self, program: str, *arguments: str) -> None:
        place = self._at / program
        command = [str(place) if place.exists() else program, *arguments]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, user=self._user
        )


@contextmanager
def run_pair(at: Path, ports: tuple[int, int]) -> Iterator[Pair]:
    """Run a primary and a standby with the programs `at`."""
    in_memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="doorward-", dir=in_memory) as folder:
        if os.getuid() == 0:
            shutil.chown(folder, "nobody")
        pair = Pair(at, Path(folder), ports)
        try:
            pair.start()
            yield pair
        finally:
            pair.stop()


def url_of(socket_folder: Path, name: str = "postgres") -> str:
    """Return a database's URL as it stands in relay.toml."""
    return f"postgresql://doorward@/{name}?host={socket_folder}"


def main(arguments: list[str]) -> int:
    """Run a command on a cluster of its own."""
    parser = argparse.ArgumentParser(prog=".ci/postgres")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    command = parser.parse_args(arguments).command
    at = programs()
    if at is None:
        print(MISSING, file=sys.stderr)
        return 1
    with run_postgres(at) as folder:
        settings = {**os.environ, "DOORWARD_TEST_DATABASE": url_of(folder)}
        return subprocess.run(command, env=settings, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
