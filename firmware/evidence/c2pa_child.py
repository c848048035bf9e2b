"""The program that writes C2PA content credentials into one MP4. The only importer of c2pa.

    python -I -B -m firmware.evidence.c2pa_child

It is started anew for each file and lives a second: the library takes 80 MB, and is native code
of others. It gets three open things and nothing else: the conversation (signing_talk) as standard
input, the plain MP4 and an empty file, both in memory, by their numbers in the job. It holds no
key: what is to be signed, it asks for. Once the library is loaded it takes the right to open
anything from itself, so neither a file nor a network can be reached from where the MP4 is read.
"""

import io
import json
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any

from firmware.evidence.signer_pipe import (
    ABSENT,
    DONE,
    FAILED,
    JOB,
    SIGN,
    SIGNATURE,
    SignerPipe,
    SignerPipeError,
)

MEMORY_BYTES = 768 * 1024 * 1024
"""Of addresses, not of memory: the library's threads reserve more than they use."""
PROCESSOR_S = 60
OOM_SCORE_FILE = Path("/proc/self/oom_score_adj")
SETTINGS = {
    "verify": {
        "verify_after_sign": True,
        "verify_trust": False,  # whom to trust, the one who checks decides
        "ocsp_fetch": False,
        "remote_manifest_fetch": False,
    },
    "builder": {"thumbnail": {"enabled": False}},
}


def main() -> int:
    """Do the one job and return the exit code."""
    OOM_SCORE_FILE.write_text("1000")  # where memory runs out, this ends, not the doorbell
    with socket.socket(fileno=0) as end:
        talk = SignerPipe(end, timeout_s=None)
        try:
            import c2pa
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            talk.send(ABSENT, str(error).encode()[:1000])
            return 1
        try:
            _sign(c2pa, talk)
        except (
            c2pa.C2paError,
            SignerPipeError,
            OSError,
            ValueError,
            KeyError,
            MemoryError,
        ) as error:
            talk.send(FAILED, f"{type(error).__name__}: {error}".encode()[:1000])
            return 1
        talk.send(DONE)
        return 0


def _sign(c2pa: Any, talk: SignerPipe) -> None:  # Any: the library has no types, and may be absent
    kind, content = talk.receive()
    if kind != JOB:
        raise SignerPipeError("no job")
    job = json.loads(content)
    with io.FileIO(job["source"], "r") as source, io.FileIO(job["target"], "r+") as target:
        _give_up_rights(int(job["limit_bytes"]))
        context = c2pa.Context(c2pa.Settings.from_dict(SETTINGS))
        signer = c2pa.Signer.from_callback(
            lambda data: _ask(talk, data), c2pa.C2paSigningAlg.ES256, job["certificate"]
        )
        c2pa.Builder(job["manifest"], context).sign(signer, "video/mp4", source, target)


def _ask(talk: SignerPipe, data: bytes) -> bytes:
    talk.send(SIGN, data)
    kind, signature = talk.receive()
    if kind != SIGNATURE:
        raise SignerPipeError("no signature")
    return signature


def _give_up_rights(limit_bytes: int) -> None:
    """Drop rights: no new files or connections; bounded memory, time and file size.

    A process that it forked would have the same limits. (RLIMIT_NPROC would also keep the
    library from its own threads, and counts for nothing where this runs as root.)
    """
    for what, limit in (
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, PROCESSOR_S),
        (resource.RLIMIT_FSIZE, limit_bytes),
    ):
        resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the library's own threads and destructors have nothing left to do
