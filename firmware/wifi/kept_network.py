"""The file of the network that was joined last, and of the trial under way.

`wifi.json` is replaced as a whole, so after a power cut either a trial is noted or its network is
kept. A trial is noted without its key: what survives a power cut can only be gone back on. The
helper reads `kept` at the board's start, with a parser of its own (provisioning/wifi_helper.py).
"""

import logging
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, Line, WireError, as_line, decode
from firmware.protocol.wifi import ID_BYTES, Security, WifiNetwork
from firmware.system.durable_files import write_atomic

log = logging.getLogger(__name__)

WIFI_FILE = "wifi.json"
MAX_USED = 64
"""Ids of owners' codes that are kept: codes last ten minutes, so older ones have expired."""

HexId = Annotated[str, msgspec.Meta(pattern=rf"^[0-9a-f]{{{2 * ID_BYTES}}}\Z")]


class NetworkForm(Document, frozen=True, kw_only=True):
    """A network as it stands in the file and in what the helper is asked; `ssid` in hexadecimal."""

    ssid: Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{2}){1,32}\Z")]
    key: Annotated[str, msgspec.Meta(pattern=r"^[ -~]{8,64}\Z")]
    security: Security
    country: Annotated[str, msgspec.Meta(pattern=r"^(?:[A-Z]{2})?\Z")]
    is_hidden: bool


class NotedTrial(Document, frozen=True, kw_only=True):
    """A trial that began; `name` is the network's for people."""

    name: Line


class WifiFile(Document, frozen=True, kw_only=True):
    """The file's content; `used` are the ids of the newest owners' codes that counted."""

    v: Literal[1] = 1
    kept: NetworkForm | None = None
    trial: NotedTrial | None = None
    used: Annotated[list[HexId], msgspec.Meta(max_length=MAX_USED)] = msgspec.field(
        default_factory=list
    )


class KeptNetwork:
    """The file of one doorbell. Its writing methods wait for storage: not on the loop."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / WIFI_FILE
        self._content = self._load()

    @property
    def trial_name(self) -> str | None:
        """The network of a trial that was noted and didn't end; None: there is none."""
        trial = self._content.trial
        return None if trial is None else trial.name

    def has(self, code_id: bytes) -> bool:
        """Return whether an owner's code of this id was used."""
        return code_id.hex() in self._content.used

    def begin_trial(self, network: WifiNetwork, code_id: bytes | None) -> None:
        """Note that a trial begins, and that its code is used; OSError if that can't be stored."""
        used = self._content.used
        if code_id is not None:
            used = [*used, code_id.hex()][-MAX_USED:]
        name = as_line(network.name, otherwise="?")
        self._save(msgspec.structs.replace(self._content, trial=NotedTrial(name=name), used=used))

    def keep(self, network: WifiNetwork) -> None:
        """Note that the trial's network is kept from now on."""
        self._save(msgspec.structs.replace(self._content, kept=form_of(network), trial=None))

    def end_trial(self) -> None:
        """Note that the trial is over, and the network before it is back."""
        self._save(msgspec.structs.replace(self._content, trial=None))

    def _save(self, content: WifiFile) -> None:
        write_atomic(self._path, content.encode())
        self._content = content

    def _load(self) -> WifiFile:
        try:
            return decode(WifiFile, self._path.read_bytes())
        except FileNotFoundError:
            return WifiFile()
        except WireError as error:
            log.error("%s is damaged, so the card's own network is used: %s", self._path, error)
            return WifiFile()


def form_of(network: WifiNetwork) -> NetworkForm:
    """Return the form in which a network is stored, and the helper asked."""
    return NetworkForm(
        ssid=network.ssid.hex(),
        key=network.key,
        security=network.security,
        country=network.country,
        is_hidden=network.is_hidden,
    )
