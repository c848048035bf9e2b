"""The folder of a doorbell that is enrolled and paired, for the real program to start over.

Its relay isn't there: the broker's port answers nobody.
"""

from pathlib import Path

from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.owners import OwnerStore
from firmware.protocol.claims import Enrolment
from firmware.protocol.grants import Owner
from tests.fakes.fleet_ca import FleetCa
from tests.story.authenticator import SoftPasskey

SETTINGS = """
data_dir = "{folder}"

[camera]
kind = "replay"
width = {width}
height = {height}
fps = 10
{file}
[clips]
min_free_bytes = 0
post_roll_s = {post_roll_s}

[clock]
is_host_time_trusted = true

[panel]
pins = "mock"

[door]
listen_port = {door_port}
"""


def make_paired_folder(
    folder: Path,
    *,
    size: tuple[int, int] = (160, 120),
    film: Path | None = None,
    post_roll_s: float = 6.0,
    door_port: int = 0,
) -> Path:
    """Make it, and return its settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = load_or_make_keys(folder)
    ca = FleetCa()
    request = keys.signer.certificate_request(keys.device)
    enrolment = Enrolment(
        device=keys.device,
        certificate_pem=ca.sign_request(request),
        evidence_certificate_pem=ca.sign_evidence(request),
        ca_pem=ca.pem,
        broker_host="127.0.0.1",
        broker_port=1,
        bucket_origin="http://127.0.0.1:1",
        relay_url="http://127.0.0.1:1",
        log_url="http://127.0.0.1:1",
    )
    (folder / "ca.pem").write_text(enrolment.ca_pem)
    (folder / "certificate.pem").write_text(enrolment.certificate_pem)
    (folder / "enrolment.json").write_bytes(enrolment.encode())
    passkey = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key
    OwnerStore(folder / "owners.json").add(Owner(name="Ada", passkey=passkey))
    settings = folder / "doorbell.toml"
    width, height = size
    settings.write_text(
        SETTINGS.format(
            folder=folder,
            width=width,
            height=height,
            post_roll_s=post_roll_s,
            file="" if film is None else f'file = "{film}"\n',
            door_port=door_port,
        )
    )
    return settings
