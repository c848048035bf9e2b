"""The client of the doorbell's own page on the home network, for `doorward recovery --pair`.

The page has no TLS, so whoever sits between may answer in its place. The recovery words don't go
there: the four words are computed here, from the messages that it shows, and the recovery key signs
here. The door number does go there, as it does from any browser at home.
"""

import httpx2
import msgspec

from firmware.companion.owner.errors import PageFailed
from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.pairing import (
    MAX_ANSWER_BYTES,
    PairingReveal,
    SignedPairingAnswer,
    check_answer,
    pairing_words,
    parse_reveal,
)
from firmware.protocol.plain_text import plain

TIMEOUT_S = 10.0
MAX_PAGE_BYTES = 64 * 1024


class PairingShown(msgspec.Struct, frozen=True, kw_only=True):
    """The state of pairing, as the page gives it to tools."""

    state: str
    is_recovery: bool = False
    device: str = ""
    code: str = ""
    answer: str = ""
    reveal: str = ""

    def revealed(self) -> PairingReveal:
        """Return the keys of the app that pairs, to which the code commits; or PageFailed."""
        try:
            reveal = parse_reveal(self.reveal)
            answer = check_answer(self._signed(), reveal.code)
            if self.code != reveal.code.text or answer.device != self.device:
                raise WireError("its messages don't belong together")
        except WireError as error:
            raise PageFailed(f"what answered isn't a doorbell that pairs: {error}") from error
        return reveal

    def words(self) -> tuple[str, ...]:
        """Return the four words over all three messages, computed here."""
        return pairing_words(self._signed(), self.revealed())

    def _signed(self) -> SignedPairingAnswer:
        return decode_canonical(
            SignedPairingAnswer, self.answer.encode(), max_bytes=2 * MAX_ANSWER_BYTES
        )


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    error: str = ""


class LocalPageClient:
    """One doorbell's page. Each method raises PageFailed."""

    def __init__(self, http: httpx2.Client, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    def pairing(self) -> PairingShown:
        """Return where pairing stands."""
        data = self._send("GET", "/pair", None)
        try:
            return msgspec.json.decode(data, type=PairingShown)
        except (msgspec.DecodeError, RecursionError) as error:
            raise PageFailed(f"{self._url} isn't a doorbell's own page") from error

    def recover(self, recovery: str, door_number: str) -> None:
        """Send what the recovery key signed, and a new door number."""
        form = {
            "recovery": recovery,
            "door_number": door_number,
        }
        self._send("POST", "/recover", form)

    def _send(self, method: str, path: str, form: dict[str, str] | None) -> bytes:
        headers = {"Accept": "application/json", "Origin": self._url}
        try:
            with self._http.stream(
                method, self._url + path, data=form, headers=headers, follow_redirects=False
            ) as response:
                data = b""
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > MAX_PAGE_BYTES:
                        raise PageFailed(f"{self._url} isn't a doorbell's own page")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PageFailed(
                f"the doorbell's own page can't be reached at {self._url}; give --door with the "
                f"address that the app names ({type(error).__name__})"
            ) from error
        if response.is_success or response.is_redirect:
            return data
        raise PageFailed(f"the doorbell refused: {_said(data) or response.status_code}")


def _said(data: bytes) -> str:
    try:
        return plain(msgspec.json.decode(data, type=_Said).error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
