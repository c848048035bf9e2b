"""Nobody counts as two by a second text of their key: no officer, owner, administrator or witness.

The id of a passkey isn't signed, so anybody may give a key another one. A key itself has one text
that is parsed, and who has to be somebody else is compared by key.
"""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from firmware.protocol.decisions import AddApprover
from firmware.protocol.encoding import WireError, b64u, decode_canonical, unb64u
from firmware.protocol.passkeys import PasskeyKey, spki_of
from firmware.protocol.register.entries import AdminsChanged, OfficerLeaf, RequestLeaf
from firmware.protocol.requests import OfficerCertificate, SignedCertificate, certificate_message
from relay.agency.keys import OfficerFile, certify, generate_agency
from tests.fakes import second_texts
from tests.fakes.consent_world import ConsentWorld, make_world, reason
from tests.fakes.log_town import Town, TownOfficer, make_town, sign_p256
from tests.fakes.rights import own_browser
from tests.story.authenticator import SoftPasskey

OTHER_ID = "AAAA"
FORMS = ["a compressed point", "a hybrid point"]
"""Both are what OpenSSL reads as the same key."""


@pytest.fixture
def world() -> ConsentWorld:
    return make_world()


def again(passkey: SoftPasskey, form: str, **changes: str) -> PasskeyKey:
    """Return the same passkey with a second text of its key, under another id."""
    key = load_der_public_key(unb64u(passkey.key.public_key))
    text = passkey.key.public_key
    if form != "its one text":
        text = b64u(dict(second_texts.p256_forms(key))[form])  # type: ignore[arg-type]
    return msgspec.structs.replace(
        passkey.key, public_key=text, **{"credential_id": OTHER_ID, **changes}
    )


def second_officer(town: Town, form: str) -> TownOfficer:
    """Return the drafter as a second person: another name, the same passkey; both certified."""
    right = town.certify("Sergeant Twin", role="approver")
    certificate = msgspec.structs.replace(
        decode_canonical(OfficerCertificate, right.certificate.certificate.encode()),
        passkey=again(town.officer.passkey, form),
    )
    text = certificate.encode()
    signed = SignedCertificate(
        certificate=text.decode(),
        signature=sign_p256(town.agency_key, certificate_message(text)),
    )
    twin = SoftPasskey.load(
        town.officer.passkey.save() | {"credential_id": certificate.passkey.credential_id}
    )
    return TownOfficer(id=right.id, name=right.name, passkey=twin, certificate=signed)


# --- officers ---


@pytest.mark.parametrize("form", ["its one text", *FORMS])
def test_one_passkey_does_not_draft_and_cosign(form: str) -> None:
    """Seen to succeed with OpenSSL's parser for `load_p256` and texts compared for keys."""
    town = make_town()
    twin = second_officer(town, form)
    town.append(OfficerLeaf(signed=twin.certificate))
    voids = len(town.register.voids)
    request = town.request(cosigner_id=twin.id, cosigner_name=twin.name)
    signed = town.sign(request, cosigner=twin)
    town.append(RequestLeaf(signed=signed))
    register = town.register
    assert signed.request_digest not in register.requests
    assert len(register.voids) == voids + 1
    if form == "its one text":
        assert "one passkey" in register.voids[-1].why
    else:  # no such certificate got in
        assert "P-256" in register.voids[-2].why
        assert (town.agreement.agency, twin.id) not in register.officers
    honest = town.publish()
    assert honest.request_digest in town.register.requests


@pytest.mark.parametrize("form", FORMS)
def test_no_agency_certifies_a_second_text(world: ConsentWorld, form: str) -> None:
    passkey = again(world.town.officer.passkey, form)
    officer = OfficerFile(officer_id="a" * 26, name="Sergeant Twin", passkey=passkey)
    with pytest.raises(WireError, match="P-256"):
        certify(generate_agency("lakeland").key, officer, not_after_ms=1)


# --- owners, and keys that confirm ---


@pytest.mark.parametrize("form", ["its one text", *FORMS])
def test_an_owners_passkey_does_not_confirm_what_it_signs(world: ConsentWorld, form: str) -> None:
    """Seen to succeed as above; then one stolen telephone releases everything."""
    key = again(world.owner, form)
    assert reason(world.judged(AddApprover(name="Laptop", key=key))) in ("approver", "form")


@pytest.mark.parametrize("form", ["its one text", *FORMS])
def test_a_key_that_confirms_is_added_once(world: ConsentWorld, form: str) -> None:
    world, known = world.with_approver()
    key = again(known, form)
    assert reason(world.judged(AddApprover(name="Laptop", key=key))) in ("approver", "form")


@pytest.mark.parametrize("form", ["its one text", *FORMS])
def test_a_person_is_an_owner_once(world: ConsentWorld, form: str) -> None:
    """Seen to succeed as above: who is sent away as an owner would still be one."""
    terms = world.newcomer(passkey=again(world.owner, form, credential_id="BBBB"))
    assert reason(world.judged(terms)) in ("already_owner", "form")
    world, known = world.with_approver()
    terms = world.newcomer(passkey=again(known, form, credential_id="BBBB"))
    assert reason(world.judged(terms)) in ("approver", "form")


def test_the_other_text_of_a_credential_id_is_none(world: ConsentWorld) -> None:
    right = world.owner.key.credential_id
    others = [text for _, text in second_texts.text_forms(right) if text != right]
    assert len(others) >= 4
    for other in others:
        terms = AddApprover(name="Laptop", key=again(world.owner, FORMS[0], credential_id=other))
        assert reason(world.judged(terms)) == "form"


@pytest.mark.parametrize("form", ["a hybrid point", "a bare point"])
def test_a_browser_has_one_id(world: ConsentWorld, form: str) -> None:
    """Its id is the digest of its key: with a second text it would outlive its own end."""
    browser = next(iter(world.facts.browsers.values()), None)
    keys = browser.keys if browser is not None else world.newcomer().owner.browser
    point = load_der_public_key(
        second_texts.spki(
            bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107"), unb64u(keys.session_key)
        )
    )
    second = dict(second_texts.p256_forms(point))[form]  # type: ignore[arg-type]
    lie = msgspec.structs.replace(keys, session_key=b64u(second))
    assert lie.id != keys.id
    assert reason(world.judged(own_browser(lie))) == "form"


# --- recipients ---


def test_a_package_is_sealed_to_the_agreements_keys_in_their_one_text(world: ConsentWorld) -> None:
    """X25519 ignores the highest bit of a key."""
    version = len(world.town.register.agreements[world.agreement.agency])
    key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    second = dict(second_texts.x25519_forms(key))["its highest bit set"]
    with pytest.raises(WireError, match="X25519"):  # the one parser of agreements, everybody's
        world.town.make_agreement(sealing_keys=[b64u(key), b64u(second)])
    assert len(world.town.register.agreements[world.agreement.agency]) == version


# --- administrators ---


@pytest.mark.parametrize("form", ["its one text", *FORMS])
def test_one_administrator_is_not_two(world: ConsentWorld, form: str) -> None:
    """Seen to succeed as above: from then on one person widens alone."""
    town = world.town
    ann, bob = town.admin("ann"), town.admin("bob")
    public = town.admin_keys["ann"].public_key()
    text = b64u(spki_of(public))
    if form != "its one text":
        text = b64u(dict(second_texts.p256_forms(public))[form])
    twin = msgspec.structs.replace(ann, id="twin", key=text)
    before = dict(town.register.admins)
    town.append(town.change(AdminsChanged(admins=[ann, bob, twin])))
    assert town.register.admins == before
    assert town.register.voids
