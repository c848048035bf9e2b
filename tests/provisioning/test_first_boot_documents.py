"""What the first boot reads: invitations, networks, bundles; nothing of it is believed unread."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol import claims
from firmware.protocol.encoding import WireError, decode
from firmware.protocol.tlog.signed_note import NoteSigner
from provisioning import netplan
from provisioning.errors import WifiRefused
from provisioning.first_boot.bundle import BundleRefused, parse_signers
from provisioning.first_boot.bundle_check import BundleCheck
from provisioning.first_boot.errors import DocumentRefused, StepFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.invitation import parse_claim, parse_invitation
from provisioning.wifi import network_of
from tests.provisioning.first_boot_cards import (
    CLAIM,
    FILES,
    SIGNERS,
    TARGET,
    archive_of,
    bundle_of,
    flashed,
    invitation,
    note_of,
    signers_file,
    write_card,
)

TEXT = st.text(max_size=40)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), TEXT, st.just({}), st.just([]))


def as_the_doorbell_reads_it(data: bytes) -> claims.Invitation | None:
    try:
        return decode(claims.Invitation, data)
    except WireError:
        return None


def test_an_invitation_is_read_as_the_doorbells_own_parser_reads_it():
    ours = parse_invitation(invitation())
    theirs = decode(claims.Invitation, invitation())
    assert decode(claims.Claim, ours.claim.encode().rstrip()) == theirs.claim
    assert parse_claim(theirs.claim.encode()).encode() == ours.claim.encode()
    assert (ours.policy, ours.name) == (theirs.policy, theirs.name)
    assert ours.network is not None
    assert theirs.network is not None
    assert (ours.network.ssid, ours.network.key) == (theirs.network.ssid, theirs.network.key)


@given(st.sampled_from(["v", "claim", "policy", "network", "name", "ssh_key", "more"]), VALUES)
def test_no_changed_field_is_taken_that_the_doorbell_refuses(name: str, value: object):
    data = invitation(**{name: value})
    try:
        parse_invitation(data)
    except DocumentRefused:
        return
    assert as_the_doorbell_reads_it(data) is not None


@given(st.sampled_from(["relay_url", "secret", "ca_sha256", "expires_ms", "v", "more"]), VALUES)
def test_no_changed_claim_is_taken_that_the_doorbell_refuses(name: str, value: object):
    data = invitation(claim={**CLAIM, name: value})
    try:
        parse_invitation(data)
    except DocumentRefused:
        return
    assert as_the_doorbell_reads_it(data) is not None


@given(st.integers(min_value=0, max_value=len(invitation()) - 1))
def test_a_cut_off_invitation_is_refused(length: int):
    with pytest.raises(DocumentRefused):
        parse_invitation(invitation()[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 10,
        b"[" * 100_000,
        b" " * 70_000 + invitation(),
        invitation().replace(b'"v": 1', b'"v": 1, "v": 1', 1),
        b"null",
        invitation().replace(b'"v": 1', b'"v": 1.0'),
        invitation().replace(b'"v": 1', b'"v": NaN'),
        invitation().replace(b'"v": 1', b'"v": true'),
    ],
)
def test_what_is_no_invitation_is_refused_in_one_sentence(data: bytes):
    with pytest.raises(DocumentRefused, match=r"^[^\n]{5,150}$"):
        parse_invitation(data)


@given(st.binary(min_size=0, max_size=40), st.binary(min_size=0, max_size=70))
def test_names_and_passwords_of_any_bytes_are_refused_or_kept_exactly(ssid: bytes, key: bytes):
    wanted = {
        "ssid": ssid.decode("latin-1"),
        "key": key.decode("latin-1"),
        "security": "wpa3",
        "country": "SE",
    }
    try:
        network = parse_invitation(invitation(network=wanted)).network
    except DocumentRefused:
        return
    assert network is not None
    assert (network.ssid, network.key) == (wanted["ssid"], wanted["key"])
    config = netplan.network_config(network)
    assert netplan.configured_network(json.loads(netplan.encode(config))) == network


@pytest.mark.skipif(shutil.which("netplan") is None, reason="netplan isn't installed")
def test_netplan_reads_exactly_the_names_and_passwords_that_were_taken(tmp_path: Path):
    """All characters that a name may have, in names of 32 bytes, and all of a password."""
    names, name = [], ""
    for number in [*range(0x20, 0x250), *range(0x1F600, 0x1F640), 0x2615, 0x05D0, 0x3042]:
        if not chr(number).isprintable():
            continue
        if len((name + chr(number)).encode()) > 32:
            names.append(name)
            name = ""
        name += chr(number)
    ascii_signs = "".join(map(chr, range(32, 127)))
    keys = [ascii_signs[:60], ascii_signs[40:], "  spaces  ", "null    ", "12345678", "~~~~~~~~"]
    names += [name, " ", "null", "true", "1e3", "- a", "'", '"', "\\", "{}", "#", "? a", "&a", "*a"]
    for place, ssid in enumerate(names):
        network = network_of(ssid, keys[place % len(keys)], country="SE", security="wpa3")
        folder = tmp_path / str(place) / "etc/netplan"
        folder.mkdir(parents=True)
        path = folder / "60-doorward.yaml"
        path.write_bytes(netplan.encode({"network": netplan.network_config(network)}))
        path.chmod(0o600)
    code = (
        "import json, sys, tempfile, yaml\n"
        "from netplan import Parser, State\n"
        "found = []\n"
        "for place in range(int(sys.argv[2])):\n"
        "    parser, state = Parser(), State()\n"
        "    parser.load_yaml_hierarchy(f'{sys.argv[1]}/{place}')\n"
        "    state.import_parser_results(parser)\n"
        "    with tempfile.TemporaryFile('w+') as file:\n"
        "        state._dump_yaml(file)\n"
        "        file.seek(0)\n"
        "        wifi = yaml.safe_load(file)['network']['wifis']['wlan0']\n"
        "    ((ssid, point),) = wifi['access-points'].items()\n"
        "    found.append([ssid, point['auth']['password']])\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code, tmp_path, str(len(names))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = [[ssid, keys[place % len(keys)]] for place, ssid in enumerate(names)]
    assert json.loads(done.stdout) == expected


@given(st.recursive(VALUES, lambda inner: st.dictionaries(TEXT, inner, max_size=3), max_leaves=8))
def test_a_network_config_that_isnt_ours_is_left_alone(document: object):
    try:
        network = netplan.configured_network(document)
    except WifiRefused:
        return
    assert network is None


def check(root: Path, **changed: bytes) -> BundleCheck:
    write_card(root, flashed(**changed))
    step = BundleCheck(TARGET)
    step.do(Host(root))
    return step


def test_openssl_verifies_what_two_signers_signed(tmp_path: Path):
    bundle = check(tmp_path).bundle
    assert bundle is not None
    assert [file.name for file in bundle.files] == list(FILES)


STRANGERS = [NoteSigner.generate(signer.key.name, "ed25519") for signer in SIGNERS]
NOTE = note_of(FILES)
FORGED = (
    note_of(FILES, signers=SIGNERS[:1]) + note_of({}, signers=SIGNERS[1:2]).rpartition(b"\n\n")[2]
)
"""The second signature is by a key that counts, over another text."""
OTHER_BYTES = {**FILES, "wheels/pip-26.0-py3-none-any.whl": b"pop"}


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        (bundle_of(signers=SIGNERS[:1]), "bundle_signatures"),
        (bundle_of(signers=[SIGNERS[0], SIGNERS[0]]), "bundle_signatures"),
        (bundle_of(signers=STRANGERS), "bundle_signatures"),
        (bundle_of(signers=[SIGNERS[0], *STRANGERS[1:]]), "bundle_signatures"),
        (archive_of({"bundle.note": FORGED, **FILES}), "bundle_signatures"),
        (bundle_of(purpose="images"), "bundle_damaged"),
        (bundle_of(target="aarch64-cp313"), "bundle_target"),
        (bundle_of(target="x86_64-cp311"), "bundle_target"),
        (bundle_of(version="../../etc"), "bundle_damaged"),
        (bundle_of({**FILES, "../x": b""}), "bundle_damaged"),
        (bundle_of({"wheels/a.whl": b""}), "bundle_damaged"),
        (bundle_of(debian=[{"name": "a", "version": "1", "file": "debs/a.deb"}]), "bundle_damaged"),
        (bundle_of(more=1), "bundle_damaged"),
        (archive_of({"bundle.note": NOTE, **FILES, "wheels/more.whl": b""}), "bundle_damaged"),
        (archive_of({"bundle.note": NOTE, **dict(reversed(FILES.items()))}), "bundle_damaged"),
        (archive_of({"bundle.note": NOTE, **dict.fromkeys(FILES, b"")}), "bundle_damaged"),
        (archive_of(FILES), "bundle_damaged"),
        (archive_of({"bundle.note": NOTE}), "bundle_damaged"),
        (archive_of({"bundle.note": b"x" * 130_000}), "bundle_damaged"),
        (bundle_of().replace(b"doorward", b"doorw4rd"), "bundle_damaged"),
        (archive_of({"bundle.note": NOTE, **OTHER_BYTES}), "bundle_damaged"),
        (bundle_of()[:3000], "bundle_damaged"),
        (b"", "bundle_damaged"),
        (b"\x1f\x8b" + b"\0" * 600, "bundle_damaged"),
    ],
)
def test_a_bundle_that_isnt_what_enough_have_signed_is_refused(
    tmp_path: Path, bundle: bytes, code: str
):
    with pytest.raises(StepFailed) as caught:
        check(tmp_path, **{"doorward/bundle.tar": bundle})
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_no_flipped_bit_of_a_bundle_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    whole = bytearray(bundle_of())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(StepFailed):
        check(tmp_path_factory.mktemp("flipped"), **{"doorward/bundle.tar": bytes(whole)})


@pytest.mark.parametrize(
    "signers",
    [
        b"",
        signers_file(quorum=1),
        signers_file(quorum=4),
        signers_file().replace(b"+", b"-", 1),
        b"\n".join([SIGNERS[0].key.vkey.encode()] * 2 + [b"quorum 2"]),
        b"#" * 20_000,
    ],
)
def test_a_list_of_signers_with_a_lower_quorum_is_refused(tmp_path: Path, signers: bytes):
    with pytest.raises(BundleRefused):
        parse_signers(signers)
    with pytest.raises(StepFailed) as caught:
        check(tmp_path, **{"doorward/signers.txt": signers})
    assert caught.value.code == "bundle_signers"
