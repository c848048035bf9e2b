"""Readings: what C2PA's own reader says of each clip, where it is installed.

A second verifier's word, told apart from Doorward's own checks and never mixed with them: it
judges the claim in the file by C2PA's rules, and knows nothing of grants and logs. It runs as a
program of its own, because the clip may be hostile (relay.verify.c2pa_reader).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from firmware.protocol.encoding import WireError, as_line
from firmware.protocol.media.byte_source import ByteSource
from relay.verify.document_reader import Files, clip_numbers, clip_of
from relay.verify.provenance import claims_in

COMMAND = (sys.executable, "-I", "-B", "-m", "relay.verify.c2pa_reader")
PACKAGE = "c2pa-python"
TIMEOUT_S = 300.0
UNTRUSTED = "signingCredential.untrusted"
ABSENT = "not run"
MAX_CLIP_BYTES = 256 * 1024 * 1024
"""The reader gets a copy in memory, for opened evidence leaves none on a disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What C2PA's reader says of one clip; `state` is its own word, or "not run"."""

    file: str
    reader: str | None
    """The package and its version; None: it isn't installed."""
    state: str
    problems: tuple[str, ...] = ()
    is_refused: bool = False

    @property
    def words(self) -> str:
        """The reading in one line."""
        return f"{self.state}: {', '.join(self.problems)}" if self.problems else self.state


def read_clips(
    files: Files, fleet_ca: bytes | None, *, command: Sequence[str] = COMMAND
) -> tuple[Reading, ...]:
    """Return C2PA's reading of each clip that carries a claim."""
    reader = _reader()
    clips = ((f"clip-{number}.mp4", clip_of(files, number)) for number in clip_numbers(files))
    return tuple(
        _read(name, clip, reader, fleet_ca, command) for name, clip in clips if _has_claim(clip)
    )


def _reader() -> str | None:
    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return None


def _has_claim(clip: ByteSource) -> bool:
    try:
        return bool(claims_in(clip))
    except WireError:  # not an MP4: Doorward's own checks say so
        return False


def _read(
    name: str,
    source: ByteSource,
    reader: str | None,
    fleet_ca: bytes | None,
    command: Sequence[str],
) -> Reading:
    if reader is None:
        problem = f"{PACKAGE} isn't installed here"
        return Reading(file=name, reader=None, state=ABSENT, problems=(problem,))
    if source.size_bytes > MAX_CLIP_BYTES:
        problem = f"the clip has more than {MAX_CLIP_BYTES} bytes; run a C2PA tool on its file"
        return Reading(file=name, reader=reader, state=ABSENT, problems=(problem,))
    try:
        with _in_memory(source) as clip:
            done = subprocess.run(
                (*command, str(clip)),
                input=json.dumps({"anchors": "" if fleet_ca is None else fleet_ca.decode()}),
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                pass_fds=(clip,),
                check=True,
                cwd="/",
            )
        told = json.loads(done.stdout)
        state, problems = str(told["state"]), [str(code) for code in told["problems"]]
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as error:
        problem = as_line(f"it broke down ({type(error).__name__})", otherwise="it broke down")
        return Reading(
            file=name, reader=reader, state="Unreadable", problems=(problem,), is_refused=True
        )
    return Reading(
        file=name,
        reader=reader,
        state=as_line(state, otherwise="Unreadable"),
        problems=tuple(as_line(code, otherwise="unprintable") for code in problems),
        is_refused=not _is_taken(state, problems, has_anchor=fleet_ca is not None),
    )


def _is_taken(state: str, problems: Sequence[str], *, has_anchor: bool) -> bool:
    """Return whether the reader refuses nothing; whom to trust counts only if it was told that."""
    if state == "Trusted":
        return not problems
    return state == "Valid" and not has_anchor and set(problems) <= {UNTRUSTED}


@contextmanager
def _in_memory(source: ByteSource) -> Iterator[int]:
    """Return an anonymous file in memory: opened evidence leaves no copies about."""
    descriptor = os.memfd_create("clip", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.writelines(source.pieces())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
