"""An approver's key, or an owner's passkey, in a FIDO2 key
(`firmware.companion.authenticator.fido_device`).

Which key it is, is kept beside the program (`approver.json`, `passkey.json`): public halves only.
"""

from pathlib import Path

from firmware.companion.authenticator.errors import KeyRefused
from firmware.companion.authenticator.fido_device import (
    Devices,
    Person,
    hid_devices,
    make_hidden_key,
    make_passkey,
    sign,
)
from firmware.companion.authenticator.passkey import Attested, CreationWanted, Site
from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.grants import Owner
from firmware.protocol.owner_codes import APPROVER_ORIGIN, APPROVER_RP_ID, ApproverCode
from firmware.protocol.passkeys import Assertion, PasskeyKey
from firmware.system.durable_files import write_atomic

MAX_FILE_BYTES = 4096


class FidoKey:
    """Implements `approver.ApproverKey`."""

    def __init__(self, code: ApproverCode, person: Person, devices: Devices) -> None:
        self._code = code
        self._person = person
        self._devices = devices

    @property
    def code(self) -> ApproverCode:
        """Its public half, and what it is called."""
        return self._code

    def sign(self, challenge: bytes) -> Assertion:
        """Sign as a passkey does, or raise KeyRefused; waits for a touch."""
        return sign(self._code.key, challenge, person=self._person, devices=self._devices)


class FidoPasskey:
    """Implements `passkey.OwnerPasskey`: one that a browser finds by itself (discoverable)."""

    def __init__(
        self, path: Path, *, site: Site, person: Person, devices: Devices | None = None
    ) -> None:
        """Its public half is kept at `path`, once it is made; KeyRefused if that can't be used."""
        self._path = path
        self._site = site
        self._person = person
        self._devices = devices or hid_devices
        self._key = _kept_passkey(path, site)

    @property
    def key(self) -> PasskeyKey | None:
        """Its public half; None: it is still to be made."""
        return self._key

    def attest(self, wanted: CreationWanted) -> Attested:
        """Make it in the FIDO2 key that is plugged in, or raise KeyRefused; waits for a touch."""
        made = make_passkey(self._site, wanted, person=self._person, devices=self._devices)
        self._key = made.key
        _keep(self._path, Owner(name=wanted.user.name, passkey=self._key).encode())
        return made

    def sign(self, challenge: bytes) -> Assertion:
        """Sign as a passkey does, or raise KeyRefused; waits for a touch."""
        if self._key is None:
            raise KeyRefused("this passkey isn't made yet")
        return sign(self._key, challenge, person=self._person, devices=self._devices)


def enrol_fido_key(
    path: Path, *, name: str, person: Person, devices: Devices = hid_devices
) -> FidoKey:
    """Make a credential in the FIDO2 key that is plugged in, and keep its public half at `path`."""
    site = Site(rp_id=APPROVER_RP_ID, origin=APPROVER_ORIGIN)
    code = ApproverCode(name=name, key=make_hidden_key(site, name, person=person, devices=devices))
    _keep(path, code.encode())
    return FidoKey(code, person, devices)


def load_fido_key(path: Path, *, person: Person, devices: Devices = hid_devices) -> FidoKey:
    """Return the key that was enrolled here, or raise KeyRefused."""
    try:
        with path.open("rb") as file:
            code = decode_canonical(ApproverCode, file.read(MAX_FILE_BYTES + 1))
    except FileNotFoundError as error:
        text = "no FIDO2 key was enrolled on this machine: doorward approve --enrol --name NAME"
        raise KeyRefused(text) from error
    except (OSError, WireError) as error:
        raise KeyRefused(f"{path} can't be used: {error}") from error
    return FidoKey(code, person, devices)


def _kept_passkey(path: Path, site: Site) -> PasskeyKey | None:
    try:
        with path.open("rb") as file:
            key = decode_canonical(Owner, file.read(MAX_FILE_BYTES + 1)).passkey
    except FileNotFoundError:
        return None
    except (OSError, WireError) as error:
        raise KeyRefused(f"{path} can't be used: {error}") from error
    if (key.rp_id, key.origin) != (site.rp_id, site.origin):
        raise KeyRefused(
            f"{path} names a passkey for {key.origin}, not for {site.origin}: give another folder "
            "with --data, or --owner-origin"
        )
    return key


def _keep(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise KeyRefused(f"{path} can't be written: {error.strerror}") from error
