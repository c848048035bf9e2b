"""Check of agreements' texts: the register has their SHA-256, and the texts must be public.

What is read is what people read, the relay's own page of each text, and no other copy: an altered
page beside a right copy would go unnoticed. Nothing of a log vouches for their being served, so
what is found here isn't part of the report.
"""

import hashlib
from collections.abc import Iterator

from firmware.protocol.register.records import AgreementRecord
from relay.tools.monitor.errors import LogUnreadable
from relay.tools.monitor.register_rules import Replayed
from relay.tools.monitor.source import Site
from relay.tools.monitor.time_texts import MINUTE_MS

MAX_TEXT_BYTES = 1024 * 1024
MAX_TEXTS = 1000
PUBLISHED_WITHIN_MS = 15 * MINUTE_MS
"""So long a page may be missing after its agreement came into the register."""


def check_texts(source: Site, replayed: Replayed, *, by_ms: int) -> Iterator[str]:
    """Yield a sentence for each withheld or altered text, the newest first."""
    for record in _newest(replayed)[:MAX_TEXTS]:
        is_due = by_ms - replayed.log.seen_ms(record.index) > PUBLISHED_WITHIN_MS
        what = _wrong_with(source, record.agreement.text_sha256, is_due=is_due)
        if what is not None:
            yield f"{_name(record)} {what}"


def count_unchecked_texts(replayed: Replayed) -> int:
    """Return the number of agreements' texts that are too old for `check_texts`."""
    return max(0, len(_newest(replayed)) - MAX_TEXTS)


def _newest(replayed: Replayed) -> list[AgreementRecord]:
    records = {
        record.agreement.text_sha256: record
        for of_agency in replayed.register.agreements.values()
        for record in of_agency
    }
    return sorted(records.values(), key=lambda record: record.index, reverse=True)


def _wrong_with(source: Site, sha256: str, *, is_due: bool) -> str | None:
    try:
        text = source.fetch_page(f"agreements/{sha256}", max_bytes=MAX_TEXT_BYTES)
    except LogUnreadable as error:
        return f"can't be read: {error}"
    if text is None:
        return f"is withheld: there is no agreements/{sha256}" if is_due else None
    found = hashlib.sha256(text).hexdigest()
    if found != sha256:
        return f"isn't what was agreed: agreements/{sha256} has the SHA-256 {found}"
    return None


def _name(record: AgreementRecord) -> str:
    agreement = record.agreement
    return f"the text of {agreement.agency}'s agreement {agreement.version}"
