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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = "PostgreSQL isn't installed here (initdb, psql): .ci/debian postgresql"
FILL = "fill"
SHARED_MEMORY = Path("/dev/shm")
FOLLOWS_S = 60.0
"""Of a busy machine."""


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
        self._primary = 0

    @property
    def url(self) -> str:
        """The URL of both, as it stands in relay.toml; for the database `postgres`."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://doorward@{hosts}/postgres?target_session_attrs=read-write"

    @property
    def primary_folder(self) -> Path:
        """Where the primary has its files."""
        return self._cluster(self._primary)

    @property
    def standby_folder(self) -> Path:
        """Where the standby has its files."""
        return self._cluster(1 - self._primary)

    def start(self) -> None:
        made = ["-D", str(self._cluster(0)), "-U", "doorward", "-A", "trust", "-N", "-E", "UTF8"]
        self._run("initdb", *made, "--locale=C.UTF-8")
        self._start(0)
        self.add_standby()

    def add_standby(self) -> None:
        """Make a new standby, in place of a former primary that has died."""
        primary, standby = self._primary, 1 - self._primary
        shutil.rmtree(self._cluster(standby), ignore_errors=True)
        into = ["-D", str(self._cluster(standby)), "-R", "-X", "stream", "-c", "fast"]
        self._run("pg_basebackup", *self._at_port(primary), *into)
        self._start(standby)
        self._ask(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        self._ask(primary, "SELECT pg_reload_conf()")
        self.wait_until_followed()

    def kill_primary(self) -> None:
        """Kill the primary's every process, as a power cut does."""
        self._kill(self._primary)

    def kill_standby(self) -> None:
        """Kill the standby's every process; from now on each commit waits for it."""
        self._kill(1 - self._primary)

    def start_primary(self) -> None:
        """Start a primary that has stopped itself."""
        self._start(self._primary)

    def start_standby(self) -> None:
        """Start a standby that was killed."""
        self._start(1 - self._primary)

    def stop_standby(self) -> None:
        """Let the standby hang: from now on each commit waits for it."""
        self._signal(1 - self._primary, signal.SIGSTOP)

    def continue_standby(self) -> None:
        """Let a standby that hangs go on."""
        self._signal(1 - self._primary, signal.SIGCONT)

    def stop_primary(self) -> None:
        """Let the primary hang: it takes connections and answers nothing."""
        self._signal(self._primary, signal.SIGSTOP)

    def continue_primary(self) -> None:
        """Let a primary that hangs go on."""
        self._signal(self._primary, signal.SIGCONT)

    def wait_until_followed(self) -> None:
        """Wait until each commit waits for the standby, and no longer than it must."""
        query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        query += " AND sync_state = 'sync' AND flush_lsn IS NOT NULL"
        end = time.monotonic() + FOLLOWS_S
        while self._ask(self._primary, query) != "1":
            if time.monotonic() > end:
                raise TimeoutError(f"no standby follows after {FOLLOWS_S} s")
            time.sleep(0.1)

    def fill_disk(self) -> None:
        """Leave the primary no room."""
        with (self.primary_folder / FILL).open("ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))

    def make_room(self) -> None:
        """Undo fill_disk."""
        (self.primary_folder / FILL).unlink()

    def fill_wal(self) -> None:
        """Have the primary need new files for its WAL on a full disk, until it stops itself."""
        while self.is_running():
            self.fill_disk()  # of what it removed when it began anew
            with contextlib.suppress(subprocess.CalledProcessError):
                self._ask(self._primary, "SELECT pg_switch_wal()")
                self._ask(self._primary, "SELECT pg_logical_emit_message(false, '', '')")

    def is_running(self) -> bool:
        """Return whether the primary runs."""
        try:
            self._run("pg_ctl", "-D", str(self.primary_folder), "status")
        except subprocess.CalledProcessError:
            return False
        return True

    def promote(self) -> None:
        """Make the standby the primary; it replays first what it has on its disk."""
        self._primary = 1 - self._primary
        self._run("pg_ctl", "-D", str(self._cluster(self._primary)), "-w", "promote")

    def may_read_alone(self, user: str) -> None:
        """Add a user who reads every table, and none of the server's figures."""
        self._ask(self._primary, f"CREATE ROLE {user} LOGIN")
        self._ask(self._primary, f"GRANT pg_read_all_data TO {user}")

    def pause_replay(self) -> None:
        """Let the standby keep what comes, and replay none of it."""
        self._ask(1 - self._primary, "SELECT pg_wal_replay_pause()")

    def lag_bytes(self) -> int:
        """Return how much the standby has on its disk and hasn't replayed."""
        query = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
        return int(self._ask(1 - self._primary, query))

    def stop(self) -> None:
        """End both, also one that hangs."""
        for number in range(2):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self._signal(number, signal.SIGCONT)
            with contextlib.suppress(subprocess.CalledProcessError):
                cluster = str(self._cluster(number))
                self._run("pg_ctl", "-D", cluster, "-w", "-m", "immediate", "stop")

    def _cluster(self, number: int) -> Path:
        return self._folder / f"cluster-{number + 1}"

    def _at_port(self, number: int) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self.ports[number]), "-U", "doorward"]

    def _ask(self, number: int, query: str) -> str:
        return self._run("psql", *self._at_port(number), "-d", "postgres", "-qtAc", query).strip()

    def _start(self, number: int) -> None:
        port = self.ports[number]
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="
        options += " -c shared_buffers=32MB -c max_connections=100 -c wal_level=replica"
        options += " -c dynamic_shared_memory_type=mmap"  # who is killed leaves nothing elsewhere
        cluster = self._cluster(number)
        log = ["-l", f"{cluster}.log", "-o", options]
        self._run("pg_ctl", "-D", str(cluster), "-w", *log, "start")

    def _kill(self, number: int) -> None:
        processes = self._signal(number, signal.SIGKILL)
        while any(_runs(one) for one in processes):
            time.sleep(0.01)
        # The number in it may stay taken until somebody has waited for the process.
        (self._cluster(number) / "postmaster.pid").unlink()

    def _signal(self, number: int, how: signal.Signals) -> list[int]:
        """Send a signal to a server's processes, of which each has a group of its own."""
        pid = int((self._cluster(number) / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        processes = [pid, *map(int, children)]
        for one in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, how)
        return processes

    def _run(self, program: str, *arguments: str) -> str:
        place = self._at / program
        command = [str(place) if place.exists() else program, *arguments]
        # A server that is started keeps what it is given open, so this is a file and no pipe.
        with tempfile.TemporaryFile("w+") as said:
            subprocess.run(
                command, check=True, stdout=said, stderr=subprocess.PIPE, user=self._user
            )
            said.seek(0)
            return said.read()


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # whoever adopted it may not have looked yet


@contextmanager
def run_pair(at: Path, ports: tuple[int, int], *, disk_bytes: int | None = None) -> Iterator[Pair]:
    """Run a primary and a standby with the programs `at`; the primary on a disk of this size.

    A disk of its own needs root, and raises CalledProcessError where nothing can be mounted.
    """
    in_memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="doorward-", dir=in_memory) as folder:
        if os.getuid() == 0:
            shutil.chown(folder, "nobody")
        pair = Pair(at, Path(folder), ports)
        with contextlib.ExitStack() as stack:
            if disk_bytes is not None:
                stack.enter_context(_small_disk(pair.primary_folder, disk_bytes))
            stack.callback(pair.stop)
            pair.start()
            yield pair


@contextmanager
def _small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    folder.mkdir()
    options = f"size={size_bytes},uid=nobody,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Archived:
    """A server whose write-ahead log is archived, by settings of an operator's."""

    def __init__(self, at: Path, folder: Path) -> None:
        self._at, self.folder = at, folder
        self.main, self.archive = folder / "main", folder / "archive"
        self.user = "nobody" if os.getuid() == 0 else None
        self.environment = {
            **os.environ,
            "PGHOST": str(folder),
            "PGUSER": "doorward",
            "PGDATABASE": "postgres",
            "PATH": f"{at}:{os.environ['PATH']}",
        }

    def create(self, settings: str) -> None:
        """Make an empty server with these lines in its postgresql.conf, and start it."""
        self.run(f"mkdir -p {self.archive}/wal")
        made = f"-D {self.main} -U doorward -A trust -N -E UTF8 --locale=C.UTF-8"
        self.run(f"initdb {made} > /dev/null")
        socket_folder = f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\n"
        with (self.main / "postgresql.conf").open("a") as file:
            file.write(f"{socket_folder}shared_buffers = 32MB\n{settings}\n")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes writes."""
        self.run(f"pg_ctl -D {self.main} -w -t 120 -l {self.folder}/log start > /dev/null")
        while self.ask("SELECT pg_is_in_recovery()") != "f":
            time.sleep(0.1)

    def destroy(self) -> None:
        """Kill its every process and delete its files."""
        pid = int((self.main / "postmaster.pid").read_text().split()[0])
        self.run(f"kill -QUIT {pid}; while kill -0 {pid} 2> /dev/null; do sleep 0.05; done")
        shutil.rmtree(self.main)

    def ask(self, query: str) -> str:
        """Return what psql says to a query."""
        return self.run(f'psql -XqAtc "{query}"').strip()

    def run(self, command: str) -> str:
        """Run a shell's command as the server's user, and return what it printed."""
        done = subprocess.run(
            ["sh", "-ec", command],
            user=self.user,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout


@contextmanager
def archived_server(at: Path) -> Iterator[Archived]:
    """Yield a server that is to be created; whatever runs at the end is stopped."""
    in_memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="doorward-", dir=in_memory) as folder:
        if os.getuid() == 0:
            shutil.chown(folder, "nobody")
        server = Archived(at, Path(folder))
        try:
            yield server
        finally:
            with contextlib.suppress(RuntimeError):
                server.run(f"pg_ctl -D {server.main} -w -m immediate stop > /dev/null")


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
