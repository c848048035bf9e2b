"""`doorward-agency` on real files: keys, the agreement, officers' certificates, answers."""

import json
import stat
from pathlib import Path

import h3
import pytest
from msgspec.structs import replace

from firmware.protocol.custody import (
    SignedDeletionAnswer,
    check_deletion_answer,
    package_commitment,
)
from firmware.protocol.encoding import WireError, decode, new_id, unb64u
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.register.change_rules import check_agreement
from firmware.protocol.register.changes import agreement_of, parse_change
from firmware.protocol.register.entries import (
    ChangeLeaf,
    OfficerRevoked,
    SignedAgreement,
    change_message,
)
from firmware.protocol.requests import SignedCertificate, check_certificate
from relay.agency.keys import (
    AgencyEnrolment,
    AgencyKeys,
    OfficerFile,
    certify,
)
from relay.tools.agency.cli import main
from relay.verify.agency_key import AgencyKey, OpeningKey
from tests.story.authenticator import SoftPasskey

CELL = "8928308280fffff"
ORIGIN = "example.lakeland/register"
NOW_MS = 1_790_000_000_000
VOTE = "https://council.example/votes/2026-117"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    also = ("--also-key", "recovery", "--also-key", "desk")
    assert run("keygen", "--id", "lakeland", *also, "--out", folder) == 0
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "agreement.md"
    path.write_text("We ask owners through Doorward, and in no other way.\n")
    return path


def key_of(keys: Path) -> AgencyKey:
    return decode(AgencyKey, (keys / "agency-key.json").read_bytes())


def public_of(keys: Path) -> AgencyKeys:
    return decode(AgencyKeys, (keys / "agency-keys.json").read_bytes())


def officer_file(**changes: object) -> OfficerFile:
    passkey = SoftPasskey.create(rp_id="relay.test", origin="http://relay.test")
    return replace(
        OfficerFile(officer_id=new_id(), name="Officer Berg", passkey=passkey.key), **changes
    )


def agree(keys: Path, text: Path, *more: object) -> int:
    return run(
        *("agreement", "--keys", keys, "--name", "Lakeland Police", "--origin", ORIGIN),
        *("--text", text, "--vote", VOTE, "--gifts", "none", "--promotion", "none"),
        *("--begins", "2026-12-10", "--cells", CELL),
        *("--out", keys / "agreement.json", *more),
    )


# --- keys ---


def test_secret_keys_are_for_their_owner_alone_and_not_in_the_public_file(keys: Path) -> None:
    public = (keys / "agency-keys.json").read_text()
    for name in ("agency-key", "sealing-key-recovery", "sealing-key-desk"):
        assert stat.S_IMODE((keys / f"{name}.json").stat().st_mode) == 0o600
        assert "private" not in public
    opening = decode(OpeningKey, (keys / "sealing-key-recovery.json").read_bytes())
    sealing_keys = [one.key for one in public_of(keys).sealing_keys]
    assert key_of(keys).sealing_public_key in sealing_keys
    assert opening.sealing_public_key in sealing_keys
    assert len(set(sealing_keys)) == 3


def test_a_key_for_opening_signs_nothing_in_the_agencys_name(keys: Path) -> None:
    opening = (keys / "sealing-key-recovery.json").read_text()
    assert "PRIVATE KEY" not in opening
    assert decode(OpeningKey, opening.encode()).signing_key == public_of(keys).signing_key


def test_a_key_is_never_overwritten(keys: Path) -> None:
    before = (keys / "agency-key.json").read_bytes()
    assert run("keygen", "--id", "other", "--out", keys) == 2
    assert (keys / "agency-key.json").read_bytes() == before


@pytest.mark.parametrize("name", ["../evil", "", "Desk", "a b"])
def test_a_key_of_a_strange_name_is_refused(tmp_path: Path, name: str) -> None:
    assert run("keygen", "--id", "x1", "--also-key", name, "--out", tmp_path / "new") == 2
    assert not (tmp_path / "new").exists()


# --- the agreement ---


@pytest.mark.parametrize("count", [3001, 3100])
def test_an_agreement_that_no_register_could_hold_is_refused_before_it_is_signed(
    keys: Path, text: Path, tmp_path: Path, capsys, count: int
) -> None:
    cells = tmp_path / "cells.txt"
    others = [cell for cell in h3.grid_disk(CELL, 32) if cell != CELL]
    cells.write_text("\n".join(others[: count - 1]))
    assert agree(keys, text, "--cells-file", cells) == 2
    assert f"about {count} cells, and an agreement holds about 3000 " in capsys.readouterr().err
    assert not (keys / "agreement.json").exists()


def test_an_agreement_is_signed_and_bundled_with_its_text(
    keys: Path, text: Path, tmp_path: Path, capsys
) -> None:
    assert agree(keys, text) == 0
    out = tmp_path / "enrolment.json"
    arguments = ("enrol", "--agreement", keys / "agreement.json", "--text", text, "--out", out)
    assert run(*arguments) == 0
    enrolment = decode(AgencyEnrolment, out.read_bytes())
    agreement = check_agreement(enrolment.signed)
    assert (agreement.agency, agreement.origin) == ("lakeland", ORIGIN)
    assert agreement.sealing_keys == [one.key for one in public_of(keys).sealing_keys]
    assert enrolment.text == text.read_text()
    said = capsys.readouterr().out
    assert all(one.fingerprint in said for one in public_of(keys).sealing_keys)


def test_another_text_is_not_bundled_with_an_agreement(
    keys: Path, text: Path, tmp_path: Path, capsys
) -> None:
    agree(keys, text)
    text.write_text("Something else.\n")
    arguments = ("--agreement", keys / "agreement.json", "--text", text)
    assert run("enrol", *arguments, "--out", tmp_path / "enrolment.json") == 2
    assert "isn't the text" in capsys.readouterr().err
    assert not (tmp_path / "enrolment.json").exists()


def test_an_agreement_that_was_altered_is_refused(keys: Path, text: Path) -> None:
    agree(keys, text)
    signed = decode(SignedAgreement, (keys / "agreement.json").read_bytes())
    forged = replace(signed, agreement=signed.agreement.replace("Lakeland", "Lakewood"))
    with pytest.raises(WireError, match="didn't sign"):
        check_agreement(forged)


@pytest.mark.parametrize(
    "more", [("--cells", "here"), ("--days", "367"), ("--merged", "x,y"), ("--begins", "soon")]
)
def test_an_agreement_that_cannot_be_is_refused(keys: Path, text: Path, more, capsys) -> None:
    assert agree(keys, text, *more) == 2
    assert "doorward-agency: " in capsys.readouterr().err
    assert not (keys / "agreement.json").exists()


def test_cells_may_come_from_a_file(keys: Path, text: Path, tmp_path: Path) -> None:
    cells = tmp_path / "cells.txt"
    cells.write_text("8928308280bffff\n89283082873ffff\n")
    assert agree(keys, text, "--cells-file", cells) == 0
    signed = decode(SignedAgreement, (keys / "agreement.json").read_bytes())
    agreement = agreement_of(signed)
    assert agreement.cells == [CELL, "8928308280bffff", "89283082873ffff"]


@pytest.mark.parametrize("listed", [[CELL], ["8928308280bffff"] * 2])
def test_a_list_that_names_a_cell_twice_is_refused(
    keys: Path, text: Path, tmp_path: Path, capsys, listed: list[str]
) -> None:
    cells = tmp_path / "cells.txt"
    cells.write_text("\n".join(listed))
    assert agree(keys, text, "--cells-file", cells) == 2
    assert f"{listed[0]} is named twice: each cell belongs there once" in capsys.readouterr().err
    assert not (keys / "agreement.json").exists()


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        ([f"{CELL},8928308280bffff"], "8928308280bffff isn't one of the agreement's cells"),
        ([CELL, CELL], f"{CELL} is named twice"),
    ],
)
def test_merged_cells_that_cannot_be_are_refused(
    keys: Path, text: Path, capsys, groups: list[str], why: str
) -> None:
    options = [word for group in groups for word in ("--merged", group)]
    assert agree(keys, text, *options) == 2
    assert why in capsys.readouterr().err


def test_a_jurisdiction_may_come_from_geojson(keys: Path, text: Path, tmp_path, capsys) -> None:
    area = tmp_path / "area.geojson"
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "areas.json").read_text())
    square = vectors["areas"][0]
    area.write_text(json.dumps(square["geojson"]))
    assert agree(keys, text, "--area", area) == 0
    signed = decode(SignedAgreement, (keys / "agreement.json").read_bytes())
    agreement = agreement_of(signed)
    assert agreement.cells == sorted([CELL, *square["cells"]])
    assert "73 cells, about 5.8 km², latitude 59.3" in capsys.readouterr().out


def test_a_list_of_cells_is_said_where_it_lies_before_it_is_signed(
    keys: Path, text: Path, tmp_path, capsys
) -> None:
    cells = tmp_path / "cells.txt"
    cells.write_text("8928308280bffff\n")
    assert agree(keys, text, "--cells-file", cells) == 0
    assert f"{cells}: " in (said := capsys.readouterr().out)
    assert "latitude 37.7" in said
    (keys / "agreement.json").unlink()
    cells.write_text("89fffffffffffff\n")
    assert agree(keys, text, "--cells-file", cells) == 2
    assert "89fffffffffffff is no cell of H3" in capsys.readouterr().err


def test_an_area_that_cannot_be_is_refused_in_words(
    keys: Path, text: Path, tmp_path, capsys
) -> None:
    area = tmp_path / "area.geojson"
    bow = [[18, 59], [18.1, 59.1], [18.1, 59], [18, 59.1], [18, 59]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [bow]}))
    assert agree(keys, text, "--area", area) == 2
    assert "crosses itself, near latitude 59.0000" in capsys.readouterr().err
    assert not (keys / "agreement.json").exists()


# --- officers ---


@pytest.mark.parametrize("role", ["officer", "approver", "records", "admin"])
def test_certifies_an_officers_passkey_in_a_role(keys: Path, tmp_path: Path, role: str) -> None:
    officer = officer_file()
    (tmp_path / "officer.json").write_bytes(officer.encode())
    arguments = ("--key", keys / "agency-key.json", "--officer", tmp_path / "officer.json")
    assert run("officer", *arguments, "--role", role, "--out", tmp_path / "c.json") == 0
    signed = decode(SignedCertificate, (tmp_path / "c.json").read_bytes())
    certificate = check_certificate(signed, unb64u(public_of(keys).signing_key))
    assert (certificate.passkey, certificate.role) == (officer.passkey, role)
    assert certificate.agency == "lakeland"


def test_certifies_a_passkey_of_windows_hello(keys: Path) -> None:
    passkey = SoftPasskey.create(rp_id="relay.test", origin="http://relay.test", rsa_bits=2048)
    signed = certify(key_of(keys), officer_file(passkey=passkey.key), not_after_ms=NOW_MS)
    signing_key = unb64u(public_of(keys).signing_key)
    assert check_certificate(signed, signing_key).passkey == passkey.key


def test_a_passkey_that_is_too_small_is_not_certified(keys: Path) -> None:
    passkey = SoftPasskey.create(rp_id="relay.test", origin="http://relay.test", rsa_bits=1024)
    with pytest.raises(WireError, match="2048"):
        certify(key_of(keys), officer_file(passkey=passkey.key), not_after_ms=NOW_MS)


def test_a_file_that_is_something_else_is_refused_by_name(keys: Path, capsys) -> None:
    arguments = ("officer", "--key", keys / "agency-key.json", "--out", "/dev/null")
    assert run(*arguments, "--officer", keys / "agency-keys.json") == 2
    assert "agency-keys.json" in capsys.readouterr().err


def test_an_officer_is_revoked_by_the_agencys_own_signature(keys: Path, tmp_path: Path) -> None:
    officer_id, out = new_id(), tmp_path / "revocation.json"
    arguments = ("--key", keys / "agency-key.json", "--officer-id", officer_id)
    assert run("revoke-officer", *arguments, "--origin", ORIGIN, "--out", out) == 0
    leaf = decode(ChangeLeaf, out.read_bytes())
    change = parse_change(leaf)
    assert change.body == OfficerRevoked(agency="lakeland", officer_id=officer_id)
    (signature,) = leaf.signatures
    message = change_message(leaf.change.encode())
    key = unb64u(public_of(keys).signing_key)
    assert (signature.by, verify_p256(key, unb64u(signature.signature), message)) == (
        "lakeland",
        True,
    )


def test_an_answer_to_a_deletion_is_signed(keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    arguments = ("--key", keys / "agency-key.json", "--package", new_id(), "--out", out)
    reason = ("--reason", "Kept by order of the court.")
    assert run("deletion-answer", *arguments, "--kept", *reason) == 0
    signed = decode(SignedDeletionAnswer, out.read_bytes())
    answer = check_deletion_answer(signed, unb64u(public_of(keys).signing_key))
    assert (answer.answer, answer.reason) == ("kept", "Kept by order of the court.")


def test_one_answer_is_signed_for_many_deletions(keys: Path, tmp_path: Path, capsys) -> None:
    out, ids = tmp_path / "answer.json", [new_id() for _ in range(64)]
    packages = [word for one in [*ids, ids[0]] for word in ("--package", one)]
    arguments = ("--key", keys / "agency-key.json", *packages, "--out", out)
    assert run("deletion-answer", *arguments, "--deleted", "--reason", "Shredded.") == 0
    assert "each of 64 recordings" in capsys.readouterr().out
    signed = decode(SignedDeletionAnswer, out.read_bytes())
    answer = check_deletion_answer(signed, unb64u(public_of(keys).signing_key))
    assert answer.packages == sorted(package_commitment(one) for one in ids)
    out.unlink()
    more = (*arguments, "--package", new_id(), "--deleted", "--reason", "Shredded.")
    assert run("deletion-answer", *more) == 2
    assert not out.exists()


def test_a_package_id_that_is_none_is_refused(keys: Path, capsys) -> None:
    arguments = ("--key", keys / "agency-key.json", "--package", "../x", "--out", "/dev/null")
    assert run("deletion-answer", *arguments, "--deleted", "--reason", "x") == 2
    assert "--package" in capsys.readouterr().err


def test_an_unusual_key_is_refused(keys: Path) -> None:
    key = replace(key_of(keys), signing_key_pem="-----BEGIN NOTHING-----")
    with pytest.raises(WireError, match="signing key"):
        certify(key, officer_file(), not_after_ms=NOW_MS)


@pytest.mark.parametrize("command", ["keygen", "agreement", "enrol", "officer", "revoke-officer"])
def test_each_command_explains_itself(command: str, capsys) -> None:
    with pytest.raises(SystemExit):
        run(command, "--help")
    assert "--out" in capsys.readouterr().out
