"""Attack: a register with every kind of entry, void in every way, before all who read registers.

The doorbell's follower, the monitor and the verifier of evidence (by the whole register, and by the
part that a package brings) must call the same entries void, or one of them can be made to believe
what the others wouldn't. A new kind of entry without a row here fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import replace as changed

from firmware.protocol.encoding import WireError, b64u, canonical, new_id, sha256_hex, unb64u
from firmware.protocol.register.changes import KINDS
from firmware.protocol.register.entries import (
    AdminsChanged,
    AgencySuspended,
    Change,
    ChangeBody,
    ChangeLeaf,
    Charter,
    Delays,
    LeafBody,
    Limits,
    LimitsChanged,
    OfficerLeaf,
    OfficerRevoked,
    ProgramReleased,
    RefusedLeaf,
    RequestLeaf,
    WithdrawnLeaf,
    change_message,
)
from firmware.protocol.register.extract import ProvenEntry, RegisterExtract
from firmware.protocol.register.facts import RegisterFacts
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.register.saved_form import unframe
from firmware.protocol.requests import SignedRequest, SignedWithdrawal
from firmware.transparency.saved_state import TAG, SavedFollowing
from firmware.transparency.state import RegisterState
from relay.verify.authority_checks import AuthorityReader, check_authority
from tests.fakes.log_town import CELL, OTHER_CELL, Town, TownOfficer, make_town, sign_p256
from tests.fakes.media import in_memory
from tests.fakes.town_monitor import seen

GARBAGE = b64u(bytes(70))
LIMITS = LimitsChanged(limits=Limits(max_per_case=1))
PROGRAM = ProgramReleased(program="owner-app", version="1.2", sha256="a" * 64)

Make = Callable[["Scene"], LeafBody | bytes]


@dataclass
class Scene:
    """A town in which all has happened once that an entry can refer to."""

    town: Town
    certified: TownOfficer
    """Certified by the agency, and not published yet."""
    revoked: TownOfficer
    standing: SignedRequest
    withdrawn: SignedRequest
    repeated: dict[str, LeafBody] = field(default_factory=dict)

    def copy(self) -> "Scene":
        return replace(self, town=self.town.copy())

    def change(self, kind: str, **how: Any) -> ChangeLeaf:
        """Return a change of this kind that its signers had the right to make, but for `how`."""
        body = BODIES[kind](self)
        by = ("lakeland-police",) if kind == "officer_revoked" else ("ann", "bob")
        return self.town.change(body, **({"by": by} | how))

    def request(self, **how: Any) -> SignedRequest:
        signers = {name: how.pop(name) for name in ("officer", "cosigner") if name in how}
        fields = {"cells": [OTHER_CELL], "case_number": "HOSTILE-1"} | how
        for role, who in signers.items():
            fields |= {f"{role}_id": who.id, f"{role}_name": who.name}
        return self.town.sign(self.town.request(**fields), **signers)


BODIES: dict[str, Callable[[Scene], ChangeBody]] = {
    "charter": lambda scene: Charter(
        is_example=False,
        admins=[scene.town.admin("ann"), scene.town.admin("bob")],
        delays=Delays(),
        limits=Limits(),
    ),
    "admins": lambda scene: AdminsChanged(admins=[scene.town.admin(one) for one in ("ann", "bob")]),
    "limits": lambda _: LIMITS,
    "agreement": lambda scene: scene.town.sign_agreement(changed(scene.town.agreement, version=2)),
    "suspended": lambda scene: AgencySuspended(agency=scene.town.agreement.agency),
    "officer_revoked": lambda scene: OfficerRevoked(
        agency=scene.town.agreement.agency, officer_id=scene.town.officer.id
    ),
    "program": lambda _: PROGRAM,
}


def withdrawal_of(scene: Scene, signed: SignedRequest) -> WithdrawnLeaf:
    """Return an agency's withdrawal of a request, without publishing it."""
    town = scene.town.copy()
    town.withdraw(signed)
    body = msgspec.json.decode(town.register_log.entries[-1])["body"]["signed"]
    return WithdrawnLeaf(signed=msgspec.convert(body, SignedWithdrawal))


RIGHT: dict[str, Callable[[Scene], LeafBody]] = {
    **{kind: lambda scene, kind=kind: scene.change(kind) for kind in BODIES},
    "officer": lambda scene: OfficerLeaf(signed=scene.certified.certificate),
    "request": lambda scene: RequestLeaf(signed=scene.request()),
    "withdrawn": lambda scene: withdrawal_of(scene, scene.standing),
    "refused": lambda scene: RefusedLeaf(agency=scene.town.agreement.agency, category="worship"),
}
"""An entry of each kind that has effect; but for a second charter, which never has."""


def counting(name: str, value: Any) -> Make:
    """Return what makes the right entry, with another count."""

    def make(scene: Scene) -> bytes:
        leaf = msgspec.json.decode(scene.town.next_entry(RIGHT[scene.repeated["kind"]](scene)))  # type: ignore[index, call-overload]
        leaf[name] = value(leaf[name])
        return canonical(leaf)

    return make


def spelt(way: Callable[[bytes], bytes]) -> Make:
    """Return what makes the right entry in another spelling."""
    return lambda scene: way(scene.town.next_entry(RIGHT[scene.repeated["kind"]](scene)))  # type: ignore[index, call-overload]


EVERY: dict[str, tuple[Make, str]] = {
    "one widening too many": (counting("widenings", lambda n: n + 1), "it counts"),
    "one widening too few": (counting("widenings", lambda n: n - 1), "it counts"),
    "one narrowing too many": (counting("narrowings", lambda n: n + 1), "it counts"),
    "one narrowing too few": (counting("narrowings", lambda n: n - 1), "it counts"),
    "other changes before it": (counting("chain", lambda _: "0" * 64), "counts other changes"),
    "a count that is a text": (counting("widenings", str), "a whole number was expected"),
    "an older version": (counting("v", lambda _: 1), "none of the values that may stand here"),
    "a later version": (counting("v", lambda _: 3), "none of the values that may stand here"),
    "another spelling": (spelt(lambda one: one.replace(b'{"body"', b'{ "body"')), "canonical"),
    "no text": (spelt(lambda one: one.replace(b'"body"', b'"bod\xff"')), "Leaf"),
    "cut off": (spelt(lambda one: one[:-1]), "Leaf"),
    "twice": (spelt(lambda one: one + one), "Leaf"),
    "a field more": (spelt(lambda one: one[:-1] + b',"x":1}'), "isn't known here"),
    "a field twice": (spelt(lambda one: one[:-1] + b',"v":2}'), "canonical"),
}
"""What is wrong with any kind, and the words in which it is said."""


def with_a_byte_to_spare(signature: str) -> str:
    """Return an ECDSA signature in another encoding: its first number has one zero byte more."""
    der = unb64u(signature)
    number = b"\0" + der[4 : 4 + der[3]]
    return b64u(bytes([der[0], der[1] + 1, der[2], len(number)]) + number + der[4 + der[3] :])


def resigned(scene: Scene, leaf: ChangeLeaf, **header: Any) -> ChangeLeaf:
    """Return a change with other fields in its header, signed by the same people."""
    town = scene.town
    keys = {**town.admin_keys, "lakeland-police": town.agency_key}
    change = canonical(msgspec.json.decode(leaf.change) | header)
    signatures = [
        changed(one, signature=sign_p256(keys[one.by], change_message(change)))
        for one in leaf.signatures
    ]
    return changed(leaf, change=change.decode(), signatures=signatures)


def signed_wrongly(kind: str) -> dict[str, tuple[Make, str]]:
    """Return in which ways a change is signed by somebody who may not."""
    least = 1 if kind in ("suspended", "officer_revoked") else 2

    def garbage(scene: Scene) -> LeafBody:
        leaf = scene.change(kind)
        first, *others = leaf.signatures
        return changed(leaf, signatures=[changed(first, signature=GARBAGE), *others])

    def padded(scene: Scene) -> LeafBody:
        leaf = scene.change(kind)
        first, *others = leaf.signatures
        spelt_anew = changed(first, signature=with_a_byte_to_spare(first.signature))
        return changed(leaf, signatures=[spelt_anew, *others])

    def stranger(scene: Scene) -> LeafBody:
        leaf = scene.change(kind)
        return changed(leaf, signatures=[changed(leaf.signatures[0], by="eve"), *leaf.signatures])

    def replayed(scene: Scene) -> LeafBody:
        leaf = scene.change(kind)
        other = scene.change("program" if kind != "program" else "limits", by=("ann", "bob"))
        return changed(leaf, content=other.content)

    def elsewhere(scene: Scene) -> LeafBody:
        change = Change(
            origin="elsewhere/register",
            nonce=new_id(),
            follows=0 if least == 2 else msgspec.UNSET,
            body=BODIES[kind](scene),
        )
        return scene.town.sign_change(change)

    def doubled(scene: Scene) -> LeafBody:
        leaf = scene.change(kind, by=("ann",))
        return changed(leaf, signatures=leaf.signatures * 2)

    def header_with_more(scene: Scene) -> LeafBody:
        return resigned(scene, scene.change(kind), x=1)

    def body_with_more(scene: Scene) -> LeafBody:
        leaf = scene.change(kind)
        body = msgspec.json.decode(leaf.content)["body"] | {"x": 1}
        content = canonical({"body": body})
        leaf = changed(leaf, content=content.decode())
        return resigned(scene, leaf, body_sha256=sha256_hex(content))

    ways: dict[str, tuple[Make, str]] = {
        "a header with a field more": (header_with_more, "isn't known here"),
        "a body with a field more": (body_with_more, "isn't known here"),
        "a forged signature": (garbage, "doesn't match|only the first entry"),
        "a signature with a byte to spare": (padded, "doesn't match|only the first entry"),
        "a stranger's signature": (stranger, "no right|only the first entry"),
        "another body than was signed": (replayed, "isn't the one that was signed"),
        "for another log": (elsewhere, "another log"),
    }
    if least == 2:
        ways |= {
            "by one administrator": (
                lambda scene: scene.change(kind, by=("ann",)),
                "2 administrators|only the first entry",
            ),
            "by one administrator twice": (doubled, "2 administrators|only the first entry"),
            "in a place that is taken": (
                lambda scene: scene.change(kind, follows=scene.town.register.widenings - 1),
                "another change was published",
            ),
            "in a place to come": (
                lambda scene: scene.change(kind, follows=scene.town.register.widenings + 1),
                "isn't in the register yet",
            ),
        }
    else:
        ways["in a place"] = (lambda scene: scene.change(kind, follows=1), "bound to no place")
    return ways


def agreement_with(**terms: Any) -> Make:
    def make(scene: Scene) -> LeafBody:
        agreement = changed(scene.town.agreement, **({"version": 2} | terms))
        return scene.town.change(scene.town.sign_agreement(agreement))

    return make


def forged_agreement(scene: Scene) -> LeafBody:
    town = scene.town.copy()
    town.agency_key = town.new_key()  # and the agreement names the true one
    return town.change(town.sign_agreement(changed(town.agreement, version=2)))


def agreement_of_other_cells(scene: Scene) -> LeafBody:
    leaf = scene.change("agreement")
    return changed(leaf, area=leaf.area.replace(CELL, CELL[:-5] + "9ffff"))


def agreement_without_cells(scene: Scene) -> LeafBody:
    return changed(scene.change("agreement"), area=msgspec.UNSET)


def uncertified(scene: Scene) -> TownOfficer:
    """Return an officer whom a key of the relay's own certified."""
    town = scene.town.copy()
    town.agency_key = town.new_key()
    return town.certify("Invented Officer")


def other_certificate(scene: Scene, **changes: Any) -> LeafBody:
    signed = scene.certified.certificate
    return OfficerLeaf(signed=changed(signed, **changes))


def request_with(**how: Any) -> Make:
    return lambda scene: RequestLeaf(signed=scene.request(**how))


def request_of_client_data(encode: Callable[[str], bytes]) -> Make:
    """Return what makes a request whose officer's passkey signed client data in another form."""

    def make(scene: Scene) -> LeafBody:
        signed, officer = scene.request(), scene.town.officer
        said = unb64u(signed.assertion.client_data_json).decode()
        assertion = officer.passkey.assertion_over(encode(said))
        return RequestLeaf(signed=changed(signed, assertion=assertion))

    return make


def forged_request(scene: Scene) -> LeafBody:
    signed = scene.request()
    return RequestLeaf(signed=changed(signed, cosignature=signed.assertion))


OWN: dict[str, dict[str, tuple[Make, str]]] = {
    "charter": {
        "after the first entry": (lambda scene: scene.change("charter", follows=None), "charter"),
    },
    "admins": {
        "an agency among them": (
            lambda scene: scene.town.change(
                AdminsChanged(
                    admins=[
                        changed(scene.town.admin("ann"), id="lakeland-police"),
                        scene.town.admin("bob"),
                    ]
                )
            ),
            "administrator's id",
        ),
        "one key for two": (
            lambda scene: scene.town.change(
                AdminsChanged(
                    admins=[scene.town.admin("ann"), changed(scene.town.admin("ann"), id="eve")]
                )
            ),
            "a key of their own",
        ),
    },
    "limits": {},
    "program": {},
    "agreement": {
        "of a version that was": (agreement_with(version=1), "next version"),
        "of a version to come": (agreement_with(version=9), "next version"),
        "for another log": (agreement_with(origin="elsewhere/register"), "another log"),
        "for longer than a year": (agreement_with(ends_ms=2**47), "twelve months"),
        "of an administrator's id": (agreement_with(agency="ann", version=1), "administrator"),
        "that the agency didn't sign": (forged_agreement, "didn't sign"),
        "of other cells": (agreement_of_other_cells, "cells"),
        "without its cells": (agreement_without_cells, "cells are missing"),
    },
    "suspended": {
        "of nobody": (
            lambda scene: scene.town.change(AgencySuspended(agency="nobody"), by=("ann",)),
            "no agency",
        ),
    },
    "officer_revoked": {
        "of nobody": (
            lambda scene: scene.town.change(
                OfficerRevoked(agency="lakeland-police", officer_id="a" * 26), by=("ann",)
            ),
            "no such officer",
        ),
    },
    "officer": {
        "that the agency didn't certify": (
            lambda scene: OfficerLeaf(signed=uncertified(scene).certificate),
            "didn't certify",
        ),
        "with a forged signature": (
            lambda scene: other_certificate(scene, signature=GARBAGE),
            "didn't certify",
        ),
        "of another text": (
            lambda scene: other_certificate(
                scene,
                certificate=scene.certified.certificate.certificate.replace("Vik", "Eve"),
            ),
            "didn't certify",
        ),
        "that is there": (
            lambda scene: OfficerLeaf(signed=scene.town.officer.certificate),
            "is here already",
        ),
    },
    "request": {
        "by an officer who isn't published": (
            lambda scene: RequestLeaf(signed=scene.request(officer=scene.certified)),
            "isn't in the register",
        ),
        "by an invented officer": (
            lambda scene: RequestLeaf(signed=scene.request(officer=uncertified(scene))),
            "isn't in the register",
        ),
        "by a revoked officer": (
            lambda scene: RequestLeaf(signed=scene.request(officer=scene.revoked)),
            "revoked",
        ),
        "with a forged signature": (forged_request, "made by another passkey"),
        "with client data in UTF-16": (
            request_of_client_data(lambda said: said.encode("utf-16")),
            "not JSON",
        ),
        "with a number in its client data that is none": (
            request_of_client_data(lambda said: said[:-1].encode() + b',"x":NaN}'),
            "not JSON",
        ),
        "with client data that is no object": (
            request_of_client_data(lambda _: b"null"),
            "not an object",
        ),
        "co-signed by its officer": (
            lambda scene: RequestLeaf(signed=scene.request(cosigner=scene.town.officer)),
            "their own request",
        ),
        "outside the jurisdiction": (request_with(cells=[CELL[:-5] + "9ffff"]), "jurisdiction"),
        "for more than twelve hours": (request_with(from_ms=0), "hours"),
        "that renews nothing": (request_with(renews="b" * 26), "no such request"),
        "that is there": (lambda scene: RequestLeaf(signed=scene.standing), "published before"),
        "about the same place": (request_with(cells=[CELL]), "once in 24 hours"),
    },
    "withdrawn": {
        "of no request": (
            lambda scene: withdrawal_of(scene, scene.request()),
            "no such request",
        ),
        "of what is withdrawn": (
            lambda scene: withdrawal_of(scene, scene.withdrawn),
            "withdrawn before",
        ),
        "with another's signature": (
            lambda scene: WithdrawnLeaf(
                signed=changed(
                    withdrawal_of(scene, scene.standing).signed,
                    assertion=scene.standing.assertion,
                )
            ),
            "signs something else",
        ),
    },
    "refused": {
        "of an agency that nobody knows": (
            lambda _: RefusedLeaf(agency="nobody", category="worship"),
            "no agency",
        ),
    },
}
UNSEEN_IN_A_PART = {
    ("officer", "that is there"), ("request", "that is there"), ("request", "about the same place"),
    ("withdrawn", "of no request"), ("withdrawn", "of what is withdrawn"),
}  # fmt: skip
"""What only the whole register shows: it was there before, or was one too many. None of it lets
anybody ask who couldn't: what came first had effect, and R4 bounds how often."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene()


def make_scene() -> Scene:
    town = make_town(age_days=20)
    town.now_ms -= 5 * 24 * 3_600_000
    revoked = town.add_officer("Officer Revoked")
    town.revoke(revoked)
    standing = town.publish(case_number="STANDS-1", expires_ms=town.now_ms + 6 * 24 * 3_600_000)
    withdrawn = town.publish(cells=[OTHER_CELL], case_number="TAKEN-1")
    town.withdraw(withdrawn)
    town.now_ms += 3 * 24 * 3_600_000
    return Scene(
        town=town,
        certified=town.certify("Officer Vik"),
        revoked=revoked,
        standing=standing,
        withdrawn=withdrawn,
    )


def ways_of(kind: str) -> dict[str, tuple[Make, str]]:
    return EVERY | (signed_wrongly(kind) if kind in BODIES else {}) | OWN[kind]


@dataclass(frozen=True)
class Hostile:
    """A register with entries of one kind, each void in one way, and then honest ones."""

    town: Town
    ways: dict[int, tuple[str, str]]
    """By index: in which way, and the words for it."""
    request: SignedRequest
    twin: Town
    """The same register without these."""


def hostile(scene: Scene, kind: str) -> Hostile:
    lie, ways = scene.copy(), {}
    lie.repeated = {"kind": kind}  # type: ignore[dict-item]
    for way, (make, words) in ways_of(kind).items():
        if kind == "request" and way == "about the same place":
            lie.town.register_log.append(
                lie.town.next_entry(RequestLeaf(signed=lie.request(cells=[CELL], case_number="A"))),
                at_ms=lie.town.now_ms,
            )
        made = make(lie)
        entry = made if isinstance(made, bytes) else lie.town.next_entry(made)
        ways[lie.town.register_log.append(entry, at_ms=lie.town.now_ms)] = (way, words)
    twin = scene.copy()
    if kind == "request":
        first = lie.town.register.requests
        for record in list(first.values())[2:]:
            twin.town.append(RequestLeaf(signed=record.signed))
    signed = lie.request(case_number="HONEST-1")
    for town in (lie.town, twin.town):
        town.append(RequestLeaf(signed=signed))
    return Hostile(town=lie.town, ways=ways, request=signed, twin=twin.town)


def follower_of(town: Town) -> RegisterState:
    """Return what a doorbell has that read the town's register."""
    state = RegisterState(policy=town.policy, origin=town.register_log.origin)
    state.accept(town.register_log.witnessed(), town.register_log.entries)
    return state


def voids_of(state: RegisterState) -> dict[int, str]:
    saved = unframe(TAG, SavedFollowing, b"".join(state.save(code=b"")), code=b"")
    return {void.index: void.why for void in saved.register.voids}


def monitored(town: Town) -> set[int]:
    """Return which entries a monitor reports."""
    found = seen(town)
    told = [*found.violations, *found.uncounted]
    return {one.index for one in told if one.log == "register" and one.index is not None}


def files_of(request: SignedRequest, extract: RegisterExtract) -> dict[str, bytes]:
    return {"request.json": request.encode(), "register.json": extract.encode()}


def proven(town: Town, index: int) -> ProvenEntry:
    log = town.register_log
    return ProvenEntry(entry=log.entries[index].decode(), proof=log.proof(index))


def known(facts: RegisterFacts) -> RegisterFacts:
    return replace(facts, size=0)


def test_every_kind_of_entry_has_its_rows() -> None:
    tags = {kind.__struct_config__.tag for kind in get_args(LeafBody)} - {"change"}
    assert set(RIGHT) == set(OWN) == tags | set(KINDS.values())
    assert set(BODIES) == set(KINDS.values())


@pytest.mark.parametrize("kind", [kind for kind in RIGHT if kind != "charter"])
def test_the_right_entry_of_each_kind_has_effect(scene: Scene, kind: str) -> None:
    """What is void below isn't void for some other reason."""
    town = scene.town.copy()
    town.append(RIGHT[kind](replace(scene, town=town)))
    assert town.register.voids == []


@pytest.mark.parametrize("kind", RIGHT)
def test_all_who_read_it_call_the_same_entries_void(scene: Scene, kind: str) -> None:
    lie = hostile(scene, kind)
    whys = voids_of(follower_of(lie.town))
    assert set(whys) == set(lie.ways)
    for index, (way, words) in lie.ways.items():
        found = [word for word in words.split("|") if word in whys[index]]
        assert found, f"{kind}, {way}: {whys[index]}"
    assert monitored(lie.town) == set(lie.ways)
    whole = WholeRegister(entries=tuple(lie.town.register_log.entries))
    checkpoint = lie.town.register_log.witnessed().checkpoint
    charter = lie.town.policy.charter_of(checkpoint.origin)
    replayed = whole.replayed(checkpoint, charter=charter)
    assert {void.index: void.why for void in replayed.voids} == whys
    # ... and they change nothing for anybody
    since_ms = lie.town.now_ms - 1
    one, other = (
        follower_of(town).facts(requests_since_ms=since_ms) for town in (lie.town, lie.twin)
    )
    assert known(one) == known(other)
    files = files_of(lie.request, lie.town.extract(lie.request))
    assert "administrators now: ann, bob" in check_authority(
        AuthorityReader(in_memory(files), lie.town.policy, None)
    )


@pytest.mark.parametrize("kind", RIGHT)
def test_a_package_that_rests_on_one_of_them_is_refused(scene: Scene, kind: str) -> None:
    lie = hostile(scene, kind)
    held = lie.town.extract(lie.request)
    for index, (way, _) in lie.ways.items():
        if (kind, way) in UNSEEN_IN_A_PART or way == "no text":  # which no package can hold
            continue
        resting = changed(held, renewed=[proven(lie.town, index)])
        with pytest.raises(WireError, match=f"entry {index} of the register is void"):
            check_authority(
                AuthorityReader(in_memory(files_of(lie.request, resting)), lie.town.policy, None)
            )
