"""Push messages: one text, encrypted to each of several browsers, all of one size.

A browser that can't be encrypted to is skipped; the others get theirs all the same.
"""

import logging
from collections.abc import Iterable

from firmware.enrolment.browsers import EnrolledBrowser
from firmware.notes.push_encryption import encrypt
from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.events import PushMessage
from firmware.protocol.live import PushText

log = logging.getLogger(__name__)


def push_messages(text: PushText, browsers: Iterable[EnrolledBrowser]) -> list[PushMessage]:
    """Return a message for each of the browsers that is subscribed. Blocks a moment."""
    plain = text.encode()
    return [
        PushMessage(browser=browser.keys.id, encrypted=encrypted)
        for browser in browsers
        if (encrypted := encrypted_to(browser, plain)) is not None
    ]


def encrypted_to(browser: EnrolledBrowser, plain: bytes) -> str | None:
    """Return a text encrypted to one browser, in base64url; None if that isn't possible."""
    if browser.push is None:
        return None
    try:
        return b64u(encrypt(plain, browser.push))
    except WireError as error:
        log.warning("a browser can't be pushed to: %s", error)
        return None
