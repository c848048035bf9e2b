"""A PostgreSQL cluster of the tests' own, on a socket in a folder of its own.

As a program it runs a command with DOORWARD_TEST_DATABASE set: python -m tests.rigs.postgres pytest
"""

import argparse
import os
import shutil
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
