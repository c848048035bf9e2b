"""The command `doorward wifi`: a code for the doorbell's camera that names another Wi-Fi network.

Works without any network: the keys are those of the folder, and nobody is asked. Nothing of the
network is kept, but in a picture that `--qr` names.
"""

import argparse
import getpass
import secrets
import sys
from pathlib import Path

from firmware.companion.owner.owner_passkey import OwnerPasskey
from firmware.companion.owner.pairing import PairedDoorbell
from firmware.companion.owner.pairing_commands import own_passkey
from firmware.companion.owner.prompts import wall_ms
from firmware.companion.owner.terminal_qr import check_room, draw_qr, save_qr
from firmware.protocol.encoding import b64u, unb64u
from firmware.protocol.passkeys import challenge
from firmware.protocol.wifi import (
    CODE_LIFE_MS,
    ID_BYTES,
    WIFI_TAG,
    OwnersNetwork,
    WifiNetwork,
    code_of,
    network_of,
    seal_wifi,
    wifi_document,
)

HELP = (
    "Hold the service button inside the doorbell's case for three seconds, then the code about "
    "30 cm before its camera. One long blink and a short one: it tries the network, and keeps it "
    "if its relay answers there within two minutes. The code counts once, for ten minutes."
)


def run_wifi(options: argparse.Namespace) -> int:
    """Ask for the password, sign, and show the code; OwnerError, KeyRefused or WifiInvalid."""
    passkey, paired = own_passkey(options)
    if options.qr is None:
        check_room("x" * 400)
    network = network_of(
        options.network.encode(),
        _password(),
        security="wpa3" if options.wpa3 else "wpa2",
        country=options.country,
        is_hidden=options.hidden,
    )
    _show(signed_code(network, passkey, paired, now_ms=wall_ms()), options.qr)
    print(HELP)
    return 0


def signed_code(
    network: WifiNetwork, passkey: OwnerPasskey, paired: PairedDoorbell, *, now_ms: int
) -> str:
    """Return the text of the code; KeyRefused if the passkey doesn't sign. Not on a loop."""
    wanted = OwnersNetwork(
        id=secrets.token_bytes(ID_BYTES),
        expires_ms=(now_ms + CODE_LIFE_MS) // 1000 * 1000,
        network=network,
    )
    device = paired.device
    sealed = seal_wifi(wanted, device=device, sealing_key=unb64u(paired.sealing_key))
    digest = challenge(WIFI_TAG, wifi_document(device, sealed))
    return code_of(
        sealed,
        passkey.sign(digest),
        challenge_text=b64u(digest),
        origin=paired.owner.passkey.origin,
    ).text


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass("Password of the network: ")


def _show(text: str, picture: Path | None) -> None:
    if picture is None:
        print(draw_qr(text))
        return
    save_qr(text, picture)
    print(f"The code is in {picture}: who has it before the doorbell does learns no password.")
