"""Rubbish led by coverage (Atheris, libFuzzer): for each parser so much processor time.

    .ci/fuzz                                     # once: puts Atheris into .state/fuzz
    .venv/bin/python -m tests.fuzz [--cpu-s 600] [PARSER …]

Each parser is tried in a process of its own; what breaks one is kept in build/fuzz/PARSER/, and the
exit code is 1. Without names, all are tried, one after the other.
"""

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ATHERIS = REPOSITORY / ".state" / "fuzz"
FOUND = REPOSITORY / "build" / "fuzz"
MAX_BYTES = 64 * 1024
ONE_RUN_S = 20
"""No parser may take longer over one input."""


def main() -> int:
    """Try all parsers that were named, or one in this process (--here)."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
    asked.add_argument("--cpu-s", type=int, default=600, help="processor time for each parser")
    asked.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked.add_argument("names", nargs="*", metavar="PARSER")
    options = asked.parse_args()
    sys.path.append(str(ATHERIS))
    if options.here:
        _fuzz(options.names[0], options.cpu_s)
        return 0
    from tests.fuzz.parsers import parsers

    broken = [name for name in options.names or parsers() if not _holds(name, options.cpu_s)]
    print(f"broken: {', '.join(broken)} (see {FOUND})" if broken else "no parser broke")
    return 1 if broken else 0


def _holds(name: str, cpu_s: int) -> bool:
    words = [sys.executable, "-m", "tests.fuzz", "--here", "--cpu-s", str(cpu_s), name]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    is_whole = done.returncode == 0 and "inputs in" in done.stdout
    print(f"{name:<15}{done.stdout.strip() if is_whole else 'BROKE'}", flush=True)
    if not is_whole:
        print("\n".join(done.stderr.splitlines()[-40:]), file=sys.stderr, flush=True)
    return is_whole


def _fuzz(name: str, cpu_s: int) -> None:
    """Let Atheris try one parser, in this process, until its time is used up."""
    import atheris

    with atheris.instrument_imports(include=["firmware.protocol", "firmware.consent", "relay"]):
        from tests.fuzz.parsers import parsers

    parser = parsers()[name]
    found, corpus = FOUND / name, FOUND / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(parser.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    begun_s, count = _cpu_s(), 0

    def try_one(data: bytes) -> None:
        nonlocal count
        parser.try_one(data)
        count += 1
        if _cpu_s() - begun_s > cpu_s:
            os.write(sys.__stdout__.fileno(), f"{count:,} inputs in {cpu_s} s\n".encode())
            os._exit(0)

    flags = [f"-max_len={MAX_BYTES}", f"-timeout={ONE_RUN_S}", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={found}/", str(corpus)], try_one)
    atheris.Fuzz()


def _cpu_s() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


if __name__ == "__main__":
    sys.exit(main())
