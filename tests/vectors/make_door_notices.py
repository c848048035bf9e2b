"""Writes the golden vector of a notice for passers-by: made anew, it has another key.

    python tests/vectors/make_door_notices.py

All comes from firmware.protocol; tests/js/door_notices.test.mjs and
tests/firmware/test_door_notices.py read it.
"""

import json
from pathlib import Path

from firmware.protocol.decisions import MAX_CONTACT_BYTES
from tests.fakes.door_notices import NoticeWriter

HERE = Path(__file__).parent
DEVICE = "c" * 20


def main() -> None:
    """Write the file."""
    writer = NoticeWriter()
    told = writer.tell(DEVICE, contact="Åsa, vid dörren")
    vector = {
        "device": DEVICE,
        "notice_id": writer.notice_id,
        "told": json.loads(told.encode()),
        "max_contact_bytes": MAX_CONTACT_BYTES,
    }
    text = json.dumps(vector, indent=1, ensure_ascii=False, sort_keys=True)
    (HERE / "door_notices.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
