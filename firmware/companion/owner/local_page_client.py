"""The client of the doorbell's own page on the home network, for `doorward recovery --pair`.

The page has no TLS, so whoever sits between may answer in its place. The recovery words don't go
there: the six words are computed here, from the keys that it names, and the recovery key signs
here. The door number does go there, as it does from any browser at home.
"""

import httpx2
import msgspec

from firmware.companion.owner.errors import PageFailed
from firmware.protocol.encoding import WireError, decode_canonical, device_id_of, unb64u
from firmware.protocol.pairing import PairingCode, six_words
from firmware.protocol.plain_text import plain

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024


class PairingShown(msgspec.Struct, frozen=True, kw_only=True):
    """The state of pairing, as the page gives it to tools."""

    state: str
    is_recovery: bool = False
    device: str = ""
    code: str = ""
    identity_key: str = ""
    sealing_key: str = ""

    def pairing_code(self) -> PairingCode:
        """Return the code that the doorbell's camera read, or raise PageFailed."""
        try:
            if device_id_of(unb64u(self.identity_key)) != self.device:
                raise WireError("its name isn't that of its key")
            return decode_canonical(PairingCode, self.code.encode(), max_bytes=4096)
        except WireError as error:
            raise PageFailed(f"what answered isn't a doorbell that pairs: {error}") from error

    def words(self) -> list[str]:
        """Return the six words over both sides' keys, computed here."""
        return six_words(
            self.pairing_code(), identity_key=self.identity_key, sealing_key=self.sealing_key
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
            "door_number_again": door_number,
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
                    if len(data) > MAX_ANSWER_BYTES:
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
