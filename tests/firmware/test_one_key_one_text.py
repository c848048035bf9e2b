"""A key has one text: no second one of it passes any parser, in any document.

The fields of keys are found by walking every document; a new one fails here until its type is one
of a key, or it stands among those that hold none.
"""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, get_args, get_origin

import msgspec
import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import firmware
import relay
from firmware.notes.push_encryption import check_push_keys
from firmware.protocol.browsers import load_session_key
from firmware.protocol.certified_key import certified_spki, requested_key
from firmware.protocol.encoding import (
    B64u,
    P256Key,
    PasskeyPublicKey,
    PushKey,
    SessionKey,
    ShortB64u,
    WireError,
    X25519Key,
    b64u,
    decode,
    unb64u,
)
from firmware.protocol.live import SetPush
from firmware.protocol.passkeys import (
    PasskeyKey,
    is_same_key,
    is_same_passkey,
    load_p256,
    load_passkey,
    spki_of,
)
from firmware.protocol.sealing import check_x25519, seal_to
from firmware.protocol.tlog.lines import b64, unb64
from firmware.protocol.tlog.policy import parse_policy, policy_text
from firmware.protocol.tlog.signed_note import NoteKey, NoteRefused, NoteSigner, parse_key
from tests.fakes import second_texts
from tests.vectors.make_keys import LOW_ORDER, PATH, key_vectors

EC_KEY = ec.derive_private_key(0xD00D, ec.SECP256R1())
P256 = EC_KEY.public_key()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
X25519 = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
BASE_POINT = (9).to_bytes(32, "little")
"""An X25519 key so small that 2^255 - 19 more fits into 32 bytes, too."""
COMPRESSED = second_texts.point_of(P256, serialization.PublicFormat.CompressedPoint)
POINT = second_texts.point_of(P256, serialization.PublicFormat.UncompressedPoint)


def load_point(text: str) -> object:
    return load_session_key(unb64u(text))


def load_push_key(text: str) -> object:
    auth = b64u(bytes(16))
    return check_push_keys(
        SetPush(
            p256dh=text, auth=auth, kinds=[], quiet=None, summary=None, silent_after_minutes=None
        )
    )


RIGHT: dict[Any, list[bytes]] = {
    P256Key: [spki_of(P256)],
    PasskeyPublicKey: [spki_of(P256), spki_of(RSA)],
    X25519Key: [X25519, BASE_POINT],
    SessionKey: [COMPRESSED],
    PushKey: [POINT],
}
LOADERS: dict[Any, Callable[[str], object]] = {
    P256Key: lambda text: load_p256(unb64u(text)),
    PasskeyPublicKey: lambda text: load_passkey(unb64u(text)),
    X25519Key: lambda text: seal_to(unb64u(text), b"", b""),
    SessionKey: load_point,
    PushKey: load_push_key,
}
KEY_TYPES = list(RIGHT)


def parse_passkey(text: str) -> object:
    """Parse it where it stands: no pattern tells the one form of an RSA key."""
    right = PasskeyKey(credential_id="AAAA", public_key=b64u(spki_of(P256)), rp_id="a", origin="b")
    return decode(PasskeyKey, right.encode().replace(right.public_key.encode(), json_of(text)))


def json_of(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]


PARSERS: dict[Any, Callable[[str], object]] = {PasskeyPublicKey: parse_passkey}
NAMES = {P256Key: "P256Key", PasskeyPublicKey: "PasskeyPublicKey", X25519Key: "X25519Key",
         SessionKey: "SessionKey", PushKey: "PushKey"}  # fmt: skip


def second_forms(kind: Any, right: bytes) -> Iterator[tuple[str, bytes]]:
    if right == spki_of(RSA):
        yield from second_texts.rsa_forms(RSA)
    elif kind is X25519Key:
        yield from second_texts.x25519_forms(right)
    else:
        yield from second_texts.p256_forms(P256)
        yield "its SubjectPublicKeyInfo", spki_of(P256)


def second_texts_of(kind: Any) -> Iterator[tuple[str, str]]:
    for right in RIGHT[kind]:
        for what, form in second_forms(kind, right):
            if form not in RIGHT[kind]:
                yield what, b64u(form)
        for what, text in second_texts.text_forms(b64u(right)):
            if text != b64u(right):
                yield what, text


# --- each type of a key ---


@pytest.mark.parametrize("kind", KEY_TYPES, ids=NAMES.get)
def test_the_one_text_of_a_key_is_taken(kind: Any) -> None:
    for right in RIGHT[kind]:
        text = msgspec.convert(b64u(right), kind)
        LOADERS[kind](text)


CASES = [
    pytest.param(kind, text, id=f"{NAMES[kind]}: {what}")
    for kind in KEY_TYPES
    for what, text in second_texts_of(kind)
]


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_no_second_text_of_a_key_is_parsed(kind: Any, text: str) -> None:
    """Seen to fail with `load_p256` by OpenSSL's own parser and the types of text alone."""
    refused = 0
    try:
        PARSERS.get(kind, lambda text: msgspec.convert(text, kind))(text)
    except (msgspec.ValidationError, WireError):
        refused += 1
    try:
        LOADERS[kind](text)
    except WireError:
        refused += 1
    assert refused == 2, text


@pytest.mark.parametrize("form", dict(second_texts.p256_forms(P256)))
def test_some_of_these_forms_are_what_a_library_reads_as_the_same_key(form: str) -> None:
    """Else there would be nothing to defend against."""
    data = dict(second_texts.p256_forms(P256))[form]
    try:
        loaded = serialization.load_der_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        assert form not in {"a compressed point", "a hybrid point"}
        return
    assert loaded == P256


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_loaded_has_the_text_it_was_loaded_from(data: st.DataObject) -> None:
    """Of any bytes near a key: they are refused, or they are another key's one form."""
    right = bytearray(data.draw(st.sampled_from([spki_of(P256), spki_of(RSA), COMPRESSED])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(right) - 1, 60)))
        match data.draw(st.sampled_from(["flip", "drop", "add", "end"])):
            case "flip":
                right[at] ^= 1 << data.draw(st.integers(0, 7))
            case "drop":
                del right[at]
            case "add":
                right.insert(at, data.draw(st.integers(0, 255)))
            case "end":
                right += data.draw(st.binary(max_size=3))
    near = bytes(right)
    for load in (load_p256, load_passkey):
        try:
            loaded = load(near)
        except WireError:
            continue
        assert spki_of(loaded) == near


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=100, deadline=None)
def test_an_x25519_key_is_a_number_below_the_prime(key: bytes) -> None:
    is_in_form = int.from_bytes(key, "little") < second_texts.X25519_PRIME
    try:
        check_x25519(key)
    except WireError:
        assert not is_in_form
        return
    assert is_in_form
    msgspec.convert(b64u(key), X25519Key)


def test_the_prime_itself_is_a_second_text_of_zero() -> None:
    check_x25519((second_texts.X25519_PRIME - 1).to_bytes(32, "little"))
    for number in (second_texts.X25519_PRIME, second_texts.X25519_PRIME + 1, 2**255, 2**256 - 1):
        key = number.to_bytes(32, "little")
        with pytest.raises(WireError, match="one form"):
            check_x25519(key)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(b64u(key), X25519Key)


def test_the_seal_to_a_second_text_opens_with_the_first_so_it_is_refused() -> None:
    """OpenSSL ignores the highest bit: a grant would name a key that isn't in the agreement."""
    private = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    second = dict(second_texts.x25519_forms(X25519))["its highest bit set"]
    other = X25519PrivateKey.generate()
    lax_key = X25519PublicKey.from_public_bytes(second)
    assert other.exchange(lax_key) == private.exchange(other.public_key())
    with pytest.raises(WireError, match="one form"):
        seal_to(second, b"", b"")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_x25519_key_of_another_size_is_none(size: int) -> None:
    with pytest.raises(WireError, match="not 32"):
        check_x25519(bytes(size))


def test_keys_are_compared_as_keys() -> None:
    right = b64u(spki_of(P256))
    assert is_same_key(right, right)
    assert not is_same_key(right, b64u(spki_of(RSA)))
    with pytest.raises(WireError):
        is_same_key(right, b64u(second_texts.compressed_spki(P256)))


def test_a_key_that_was_read_from_a_second_text_is_written_as_the_first() -> None:
    second = serialization.load_der_public_key(second_texts.compressed_spki(P256))
    assert isinstance(second, ec.EllipticCurvePublicKey)
    assert spki_of(second) == spki_of(P256)


def test_a_key_of_another_curve_has_no_text() -> None:
    with pytest.raises(WireError, match="only P-256"):
        spki_of(ec.generate_private_key(ec.SECP384R1()).public_key())


def test_passkeys_of_one_key_or_one_id_are_one() -> None:
    one = PasskeyKey(credential_id="AAAA", public_key=b64u(spki_of(P256)), rp_id="a", origin="b")
    assert is_same_passkey(one, replace(one, credential_id="AAAB"))
    assert is_same_passkey(one, replace(one, public_key=b64u(spki_of(RSA))))
    assert not is_same_passkey(
        one, replace(one, credential_id="AAAB", public_key=b64u(spki_of(RSA)))
    )


# --- base64 ---


@pytest.mark.parametrize("size", range(7))
def test_bytes_have_one_text_in_base64url(size: int) -> None:
    right = b64u(bytes(range(250, 250 + size)) if size < 6 else b"\xfb\xff" * 3)
    for kind in (B64u, ShortB64u):
        assert msgspec.convert(right, kind) == right
    for what, text in second_texts.text_forms(right):
        if text == right or (what == "padded" and not right):
            continue
        with pytest.raises(WireError):
            unb64u(text)
        for kind in (B64u, ShortB64u):
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert(text, kind)


@given(st.text(alphabet="AQgwBEIM_-9z", max_size=9))
def test_a_type_takes_what_the_decoder_takes(text: str) -> None:
    try:
        unb64u(text)
    except WireError:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, B64u)
    else:
        msgspec.convert(text, B64u)


@pytest.mark.parametrize(
    "text", ["AA", "AA=", "AB==", "AA==\n", " AA==", "A_==", "AAA=AAA=", "AA==AA=="]
)
def test_base64_of_the_logs_has_one_text_too(text: str) -> None:
    assert unb64("AA==") == b"\x00"
    with pytest.raises(WireError):
        unb64(text)


# --- keys of logs and witnesses ---


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [*LOW_ORDER, *range(2**255 - 19, 2**255)])
def test_no_second_form_of_an_ed25519_key_signs_notes(y: int, sign: int) -> None:
    """Nor one of low order, for which anybody can sign."""
    key = (y | sign << 255).to_bytes(32, "little")
    with pytest.raises(NoteRefused, match="one form"):
        NoteKey(name="witness.example", kind="cosignature", public_key=key)


def test_one_witness_under_two_names_is_one() -> None:
    log = NoteSigner.generate("log.example", "ed25519").key
    witness = NoteSigner.generate("one.example", "cosignature").key
    again = NoteKey(name="two.example", kind="cosignature", public_key=witness.public_key)
    text = policy_text(logs=[log], witnesses={"one": witness, "two": again}, threshold=2)
    with pytest.raises(WireError, match="there already"):
        parse_policy(text)


def test_a_vkey_has_one_text() -> None:
    key = NoteSigner.generate("log.example", "ed25519").key
    assert parse_key(key.vkey) == key
    name, key_id, encoded = key.vkey.split("+", 2)
    typed = unb64(encoded)
    for text in (
        f"{name}+{key_id.upper()}+{encoded}" if key_id.upper() != key_id else f"{name}++{encoded}",
        f"{name}+{key_id}+{encoded}=",
        f"{name}+{key_id}+{encoded} ",
        f"{name}+{key_id}+{b64(typed + bytes(1))}",
        f"{name}+{key_id}+{b64(typed[:-1])}",
    ):
        with pytest.raises(NoteRefused):
            parse_key(text)


def test_an_ordinary_ed25519_key_is_taken() -> None:
    for _ in range(20):
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        NoteKey(name="log.example", kind="ed25519", public_key=key)


# --- keys in certificates ---

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "doorbell")])


def request_der() -> bytes:
    made = x509.CertificateSigningRequestBuilder().subject_name(NAME)
    return made.sign(EC_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def certificate_der() -> bytes:
    year = [datetime(one, 1, 1, tzinfo=UTC) for one in (2026, 2046)]
    made = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(P256)
        .serial_number(1)
        .not_valid_before(year[0])
        .not_valid_after(year[1])
    )
    return made.sign(EC_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def with_key(der: bytes, spki: bytes) -> bytes:
    """Put another SubjectPublicKeyInfo into a certificate or request; its signature is void."""
    outer = sizes_of(der)
    inner = sizes_of(der[outer[0] :])
    signed = der[outer[0] + inner[0] : outer[0] + sum(inner)]
    rest = der[outer[0] + sum(inner) :]
    assert spki_of(P256) in signed
    changed = second_texts.sequence(signed.replace(spki_of(P256), spki))
    return second_texts.sequence(changed + rest)


def sizes_of(der: bytes) -> tuple[int, int]:
    """Return the sizes of an element's header and content."""
    digits = der[1] & 0x7F if der[1] & 0x80 else 0
    size = int.from_bytes(der[2 : 2 + digits], "big") if digits else der[1]
    return 2 + digits, size


@pytest.mark.parametrize("form", ["a compressed point", "a hybrid point", "the algorithm id-ecDH"])
@pytest.mark.parametrize("what", ["certificate", "request"])
def test_no_second_form_is_certified(what: str, form: str) -> None:
    second = dict(second_texts.p256_forms(P256))[form]
    if what == "certificate":
        right, load = certificate_der(), x509.load_der_x509_certificate
        read: Callable[[Any], object] = certified_spki
    else:
        right, load = request_der(), x509.load_der_x509_csr
        read = requested_key
    assert read(load(right)) in (spki_of(P256), P256)
    try:
        loaded = load(with_key(right, second))
    except ValueError:  # the library is stricter than we need
        return
    with pytest.raises(WireError, match="one form"):
        read(loaded)


# --- every document ---

NAMED_AS_KEY = re.compile(r"(^|_)(key|keys|spki|p256dh|recipient)$")
NO_PUBLIC_KEY = {
    # secrets, under a file's mode
    ("AgencyKey", "sealing_private_key"), ("OpeningKey", "sealing_private_key"),
    ("KeptOwnerKey", "private_key"),
    ("KeptKeys", "session_key"), ("KeptKeys", "viewing_key"),
    ("BucketConfig", "access_key"), ("BucketConfig", "secret_key"),
    # a wrapped secret, and the name of one
    ("VaultHeader", "wrapped_key"), ("VaultHeader", "storage_key"),
    # a Wi-Fi network's key or password, and a line of OpenSSH's
    ("NetworkForm", "key"), ("InvitedNetwork", "key"), ("Invitation", "ssh_key"),
    # of a file that is read for its passkeys alone
    ("_OwnerOf1", "note_key"),
    # "" or a key, which `recovery_keys_of` checks
    ("StorageConfig", "recovery_key"),
    # "" or a key, as the local page shows it; the relay's answer has them too, in their types
    ("PairingShown", "identity_key"), ("PairingShown", "sealing_key"),
}  # fmt: skip


def every_struct() -> list[type[msgspec.Struct]]:
    for package in (firmware, relay):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if re.match(r"firmware\.(protocol|companion|enrolment|vault|consent)\b"
                        r"|relay\.(verify|agency|people|fleet)\b", module.name):  # fmt: skip
                importlib.import_module(module.name)
    found: list[type[msgspec.Struct]] = []
    waiting = [msgspec.Struct]
    while waiting:
        kind = waiting.pop()
        below = kind.__subclasses__()
        waiting += below
        found += [one for one in below if one.__module__.startswith(("firmware.", "relay."))]
    return found


def texts_in(kind: Any) -> Iterator[Any]:
    """Yield the types of text in a field's type: itself, or those of a list, a union or a dict."""
    if kind in KEY_TYPES or kind in (B64u, ShortB64u):
        yield kind
    elif get_origin(kind) is not None or hasattr(kind, "__metadata__"):
        for inner in get_args(kind):
            yield from texts_in(inner)
    elif kind is str:
        yield kind


def key_fields() -> Iterator[tuple[str, str, list[Any]]]:
    for struct in every_struct():
        hints = msgspec._utils.get_class_annotations(struct)
        for name in struct.__struct_fields__:
            types = list(texts_in(hints[name]))
            if NAMED_AS_KEY.search(name) and types:
                yield struct.__name__, name, types


def test_every_field_of_a_key_has_a_type_of_keys() -> None:
    fields = list(key_fields())
    assert len(fields) > 20
    loose = {
        (struct, name)
        for struct, name, types in fields
        if any(one not in KEY_TYPES for one in types)
    }
    assert loose <= NO_PUBLIC_KEY, loose - NO_PUBLIC_KEY


def test_the_browsers_vectors_are_made_of_the_same_texts() -> None:
    assert json.loads(PATH.read_text()) == key_vectors()
