"""A program with so much memory more than it takes when it begins: beyond that, nothing is given.

    python -m tests.fakes.bounded MODULE EXTRA_MIB [WORD …]

It imports `MODULE`, limits its own address space, and runs its `main` with the words. Its last
line on standard error says how much memory it took at most.
"""

import importlib
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
TIMEOUT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a program ended."""

    code: int
    out: str
    err: str


def run_bounded(
    module: str, *words: str | Path, extra_mib: int, timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Run a module's `main` with that much memory beyond what it has once it is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.bounded", module, str(extra_mib), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=Path(__file__).parents[2],
    )
    return Outcome(code=done.returncode, out=done.stdout, err=done.stderr)


def address_space_bytes() -> int:
    """Return how much address space this process has now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()


def main() -> int:
    name, extra_mib, *words = sys.argv[1:]
    module = importlib.import_module(name)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limit = address_space_bytes() + int(extra_mib) * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        return int(module.main(words))
    finally:
        taken_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        print(f"{taken_kib // 1024} MiB more than at the beginning", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
