"""The program that runs C2PA's own reader on one clip. Of the verifier only this imports c2pa.

    python -I -B -m relay.verify.c2pa_reader FILE_NUMBER < JOB

The library is native code of others and the clip may be hostile, so it runs as a process of its own
(relay.verify.readings), with the clip as an open file, and gives up the right to open anything
else. The job is JSON with the trust anchors in PEM; the answer on standard output is JSON.
"""

import io
import json
import os
import sys
from typing import Any

from relay.verify.process_rights import give_up_rights

MEMORY_BYTES = 2 * 1024 * 1024 * 1024
"""Of addresses, not of memory: the library's threads reserve more than they use."""
PROCESSOR_S = 120


def main() -> int:
    """Read one clip and print what C2PA's reader says of it; return the exit code."""
    import c2pa

    job = json.loads(sys.stdin.read())
    settings: dict[str, object] = {
        "verify": {"ocsp_fetch": False, "remote_manifest_fetch": False},
    }
    if job["anchors"]:
        settings["trust"] = {"trust_anchors": job["anchors"]}
    with io.FileIO(int(sys.argv[1]), "r") as clip:
        give_up_rights(memory_bytes=MEMORY_BYTES, processor_s=PROCESSOR_S)
        print(json.dumps(_read(c2pa, clip, settings)))
    return 0


def _read(c2pa: Any, clip: io.FileIO, settings: dict[str, object]) -> dict[str, object]:
    # Any: the library has no types, and may be absent
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(settings))
        with c2pa.Reader("video/mp4", clip, context=context) as reader:
            said = json.loads(reader.json())
            state = str(reader.get_validation_state())
    except (c2pa.C2paError, ValueError) as error:
        return {"state": "Unreadable", "problems": [f"{type(error).__name__}: {error}"[:300]]}
    problems = [str(one["code"])[:100] for one in said.get("validation_status") or []]
    return {"state": state, "problems": problems[:20]}


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the library's own threads and destructors have nothing left to do
