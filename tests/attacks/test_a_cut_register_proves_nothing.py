"""Attack: a package whose part of the register leaves out, moves or replaces what counts.

The relay has the log's key and serves the doorbell's maker of packages with what it likes; all
that it shows is really in the log. What it can't do is to let a change go missing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.register.chain import LoggedEntry, replay_chain
from firmware.protocol.register.entries import (
    AdminsChanged,
    AgencySuspended,
    ChangeSignature,
    Limits,
    LimitsChanged,
    OfficerRevoked,
    ProgramReleased,
    RefusedLeaf,
)
from firmware.protocol.register.extract import (
    ChainLink,
    EarlierCheckpoint,
    ProvenEntry,
    RegisterExtract,
)
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.requests import SignedRequest
from firmware.protocol.tlog.proof import parse_proof
from relay.verify.authority_checks import AuthorityReader, check_ages, check_authority
from relay.verify.checks import Exit, Result
from relay.verify.date_checks import SKEW_MS
from relay.verify.errors import NotCheckable
from relay.verify.report import check_evidence
from tests.fakes.log_town import HOUR_MS, NOW_MS, Town, make_town, sign_p256, spki_of
from tests.fakes.media import evidence_of_files, in_memory
from tests.fakes.register_history import History
from tests.relay.evidence_files import Evidence, Film, make_evidence, regranted, with_files

PROGRAM = ProgramReleased(program="owner-app", version="1.2", sha256="a" * 64)
LIMITS = LimitsChanged(limits=Limits(max_per_case=1))


@dataclass(frozen=True)
class Case:
    town: Town
    request: SignedRequest

    @property
    def extract(self) -> RegisterExtract:
        return self.town.extract(self.request)

    def check(self, extract: RegisterExtract) -> str:
        files = {"request.json": self.request.encode(), "register.json": extract.encode()}
        return check_authority(AuthorityReader(in_memory(files), self.town.policy, None))


def full_town() -> Town:
    """A town in which another agency, limits, officers and administrators changed."""
    town = make_town(age_days=20, now_ms=NOW_MS - 100 * HOUR_MS)
    town.append(town.change(LIMITS))
    other = town.copy()
    other.agency_key = town.new_key()
    agreement = changed(
        town.agreement, agency="mapleton", name="Mapleton", signing_key=spki_of(other.agency_key)
    )
    town.append(town.change(other.sign_agreement(agreement)))
    gone = town.add_officer("Officer Gone")
    town.revoke(gone)
    town.append(town.change(AgencySuspended(agency="mapleton"), by=("bob",)))
    town.append(town.change(AdminsChanged(admins=[town.admin(one) for one in ("ann", "bob")])))
    town.make_agreement()
    town.append(town.change(PROGRAM))
    town.wind(hours=100)
    return town


@pytest.fixture(scope="module")
def case() -> Case:
    town = full_town()
    return Case(town=town, request=town.publish())


def links_of(extract: RegisterExtract) -> list[ChainLink]:
    assert not isinstance(extract.chain, msgspec.UnsetType)
    return list(extract.chain.links)


def with_links(extract: RegisterExtract, links: list[ChainLink]) -> RegisterExtract:
    return changed(extract, chain=changed(extract.chain, links=links))


def place(extract: RegisterExtract, kind: str, agency: str = "") -> int:
    """Return where the first link of a kind is."""
    words = f'"kind":"{kind}"', f'"agency":"{agency}"' if agency else ""
    return next(
        at
        for at, link in enumerate(links_of(extract))
        if all(word in link.change for word in words)
    )


def on_link(kind: str, change: Callable[[ChainLink], ChainLink | None], agency: str = "") -> ...:  # type: ignore[misc]
    def forge(extract: RegisterExtract) -> RegisterExtract:
        links, at = links_of(extract), place(extract, kind, agency)
        made = change(links[at])
        links[at : at + 1] = [] if made is None else [made]
        return with_links(extract, links)

    return forge


def without(_: ChainLink) -> None:
    return None


def swapped(extract: RegisterExtract) -> RegisterExtract:
    first, second, *others = links_of(extract)
    return with_links(extract, [second, first, *others])


def renumbered(extract: RegisterExtract) -> RegisterExtract:
    """The first two in each other's places, with each other's indexes."""
    first, second, *others = links_of(extract)
    moved = [changed(second, index=first.index), changed(first, index=second.index)]
    return with_links(extract, [*moved, *others])


def one_more(extract: RegisterExtract) -> RegisterExtract:
    links = links_of(extract)
    return with_links(extract, [*links, changed(links[-1], index=links[-1].index + 1)])


def garbage(link: ChainLink) -> ChainLink:
    first, *others = link.signatures
    return changed(link, signatures=[changed(first, signature=b64u(bytes(70))), *others])


FORGED: dict[str, tuple[Callable[[RegisterExtract], RegisterExtract], str]] = {
    "the first change left out": (
        lambda held: with_links(held, links_of(held)[1:]),
        "it counts 2 widening",
    ),
    "the last change left out": (lambda held: with_links(held, links_of(held)[:-1]), "it counts"),
    "every change left out": (lambda held: with_links(held, []), "it counts|place|follows"),
    "another agency's suspension left out": (on_link("suspended", without), "it counts"),
    "an officer's revocation left out": (on_link("officer_revoked", without), "it counts"),
    "limits left out": (on_link("limits", without), "it counts|isn't in the register yet"),
    "two changes in another order": (swapped, "out of order"),
    "two changes in each other's places": (renumbered, "isn't in the register yet"),
    "a change twice": (
        lambda held: with_links(held, [links_of(held)[0], *links_of(held)]),
        "there twice",
    ),
    "a change in the request's place": (one_more, "isn't the change that the chain has there"),
    "a change elsewhere": (
        on_link("program", lambda link: changed(link, index=link.index + 1)),
        "the chain of changes isn't whole",
    ),
    "limits without their body": (
        on_link("limits", lambda link: changed(link, content=msgspec.UNSET)),
        "the body of change .* is missing",
    ),
    "administrators without their names": (
        on_link("admins", lambda link: changed(link, content=msgspec.UNSET)),
        "the body of change .* is missing",
    ),
    "the agency's revocation without its body": (
        on_link("officer_revoked", lambda link: changed(link, content=msgspec.UNSET)),
        "the body of change .* is missing",
    ),
    "limits with another body": (
        on_link(
            "limits", lambda link: changed(link, content=link.content.replace(":1,", ":2,", 1))
        ),
        "isn't the one that was signed",
    ),
    "by one administrator": (
        on_link("limits", lambda link: changed(link, signatures=link.signatures[:1])),
        "2 administrators must sign",
    ),
    "another agency's by one administrator": (
        on_link(
            "agreement",
            lambda link: changed(link, signatures=link.signatures[:1]),
            agency="mapleton",
        ),
        "2 administrators must sign",
    ),
    "another agency's with a forged signature": (
        on_link("agreement", garbage, agency="mapleton"),
        "doesn't match",
    ),
    "another charter": (
        lambda held: changed(
            held,
            chain=changed(held.chain, charter=make_town().register_log.entries[0].decode()),
        ),
        "isn't the charter that the policy names",
    ),
    "an entry that isn't the last as the last": (
        lambda held: changed(held, last=held.agreement),
        "isn't the one that is shown as the last",
    ),
    "the officer for the co-signer": (
        lambda held: changed(held, cosigner=held.officer),
        "isn't in the register|didn't",
    ),
    "a refusal for the request": (
        lambda held: changed(held, agreement=held.officer),
        "of another agency",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_part_that_was_cut_or_moved_is_refused(case: Case, name: str) -> None:
    forge, words = FORGED[name]
    with pytest.raises(WireError, match=words):
        case.check(forge(case.extract))


def test_entries_of_two_trees_are_no_part_of_one(case: Case) -> None:
    """The same keys signed another history once, in which this officer was certified."""
    town = case.town.copy()
    officer = case.extract.officer
    log = town.register_log.fork(size=2)
    log.append(officer.entry.encode(), at_ms=town.now_ms)
    forged = changed(officer, proof=log.proof(2))
    with pytest.raises(WireError, match="proved by different checkpoints"):
        case.check(changed(case.extract, officer=forged))


def test_the_charter_is_no_other_entry(case: Case) -> None:
    log = case.town.register_log
    charter = ProvenEntry(entry=log.entries[0].decode(), proof=log.proof(0))
    with pytest.raises(WireError, match="entry 0 is the charter's place"):
        case.check(changed(case.extract, renewed=[charter]))


def test_the_whole_part_holds(case: Case) -> None:
    assert "changes since the charter: 8; administrators now: ann, bob" in case.check(case.extract)


def test_other_agencies_bodies_and_old_cells_stay_out(case: Case) -> None:
    links = links_of(case.extract)
    mapleton = [link for link in links if '"agency":"mapleton"' in link.change]
    assert [link.content for link in mapleton] == [msgspec.UNSET] * 2
    assert sum(link.area is not msgspec.UNSET for link in links) == 1
    assert max(len(link.encode()) for link in mapleton) < 1024


def test_a_widening_with_many_cells_takes_about_a_kilobyte(case: Case) -> None:
    """Cells are named by their digest: only the agreement that judged the request has them."""
    town = case.town.copy()
    town.make_agreement(cells=[f"89{number:013x}" for number in range(2000)])
    town.make_agreement(cells=case.town.agreement.cells)
    town.wind(hours=100)
    extract = town.extract(case.request)
    large = links_of(extract)[-2]
    assert len(large.encode()) < 2048


# --- what came after the request ---


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (lambda town: town.suspend(), "suspended before the recording was released"),
        (lambda town: town.revoke(town.officer), "revoked before the release"),
        (lambda town: town.revoke(town.cosigner, by="ann"), "revoked before the release"),
    ],
    ids=["suspended", "officer revoked", "co-signer revoked"],
)
def test_what_took_the_right_away_before_the_release_is_seen_and_cannot_be_left_out(
    case: Case, then: Callable[[Town], None], words: str
) -> None:
    taken = replace(case, town=case.town.copy())
    then(taken.town)
    taken.town.append(RefusedLeaf(agency="lakeland-police", category="worship"))
    held = taken.extract
    with pytest.raises(WireError, match=words):
        taken.check(held)
    with pytest.raises(WireError, match=r"the chain of changes isn't whole.* it counts"):
        taken.check(with_links(held, links_of(held)[:-1]))


def test_the_second_of_two_changes_for_one_place_is_no_substitute(case: Case) -> None:
    """Both were signed by two administrators. The digest over the changes tells which came first.

    Seen to succeed with the digest unchecked in `Register.check_leaf_counts`.
    """
    forked = replace(case, town=case.town.copy())
    town = forked.town
    removed = town.change(AdminsChanged(admins=[town.admin("ann"), town.new_admin("eve")]))
    instead = town.change(PROGRAM)
    town.append(removed)
    index = town.append(instead)
    town.append(RefusedLeaf(agency="lakeland-police", category="worship"))
    assert [void.index for void in town.register.voids] == [index]
    held = forked.extract
    link = ChainLink(
        index=index,
        change=instead.change,
        signatures=instead.signatures,
        content=instead.content,
    )
    with pytest.raises(WireError, match="counts other changes before it"):
        forked.check(with_links(held, [*links_of(held)[:-1], link]))


def suspended_last(forge: Callable[[Town, list[ChainLink]], list[ChainLink]]) -> Evidence:
    """Evidence under a checkpoint whose last entry suspends the agency, with another chain."""
    evidence = make_evidence(film=Film(1, with_sound=False))
    town = evidence.town
    town.suspend()
    held = town.extract(msgspec.json.decode(evidence.files["request.json"], type=SignedRequest))
    forged = with_links(held, forge(town, links_of(held)))
    return with_files(evidence, **{"register.json": forged.encode()})


def unsigned_revocation(town: Town, links: list[ChainLink]) -> list[ChainLink]:
    """Replace the last by a change that nobody signed: an unknown agency's officer, revoked."""
    leaf = town.change(OfficerRevoked(agency="nowhere", officer_id="a" * 26), by=("ann",))
    forged = ChainLink(
        index=links[-1].index,
        change=leaf.change,
        signatures=[ChangeSignature(by="nowhere", signature=b64u(bytes(70)))],
    )
    return [*links[:-1], forged]


def withdrawn_before() -> Evidence:
    """Evidence of a request that its agency had taken back before the owner released."""
    evidence = make_evidence(film=Film(1, with_sound=False))
    town = evidence.town
    signed = msgspec.json.decode(evidence.files["request.json"], type=SignedRequest)
    town.withdraw(signed)
    return with_files(evidence, **{"register.json": town.extract(signed).encode()})


def asked_twice() -> Evidence:
    """Evidence of a request about a place that was asked about just before: void, by R4."""
    town = make_town()
    town.publish(case_number="FIRST")
    return make_evidence(town=town, request=town.publish(), film=Film(1, with_sound=False))


def lying_last() -> Evidence:
    """Evidence under a last entry that doesn't count the suspension before it."""
    evidence = make_evidence(film=Film(1, with_sound=False))
    town = evidence.town
    leaf = town.next_entry(RefusedLeaf(agency="lakeland-police", category="worship"))
    town.suspend()
    town.register_log.append(leaf, at_ms=town.now_ms)
    held = town.extract(msgspec.json.decode(evidence.files["request.json"], type=SignedRequest))
    forged = with_links(held, links_of(held)[:-1])
    return with_files(evidence, **{"register.json": forged.encode()})


LAST: dict[str, Callable[[Town, list[ChainLink]], list[ChainLink]]] = {
    "the suspension shown": lambda _, links: links,
    "the suspension left out": lambda _, links: links[:-1],
    "the suspension replaced": unsigned_revocation,
}


@pytest.mark.parametrize("name", LAST)
def test_a_suspension_that_is_the_logs_last_entry_is_seen_whatever_the_chain_has_there(
    name: str,
) -> None:
    """Seen to hold with a forged change in its place, and in the page without any."""
    evidence = suspended_last(LAST[name])
    report = check_evidence(evidence_of_files(evidence.listed()), evidence.given)
    assert report.exit_code is Exit.LOG


def test_a_last_entry_that_counts_wrongly_hides_nothing_from_who_has_the_whole(case: Case) -> None:
    """The one lie that a part can't show. It is void in the log, for every follower and monitor."""
    lie = replace(case, town=case.town.copy())
    town = lie.town
    leaf = town.next_entry(RefusedLeaf(agency="lakeland-police", category="worship"))
    town.suspend()
    index = town.register_log.append(leaf, at_ms=town.now_ms)
    assert [void.index for void in town.register.voids] == [index]
    held = lie.extract
    lie.check(with_links(held, links_of(held)[:-1]))  # a part holds ...
    whole = WholeRegister(entries=tuple(town.register_log.entries))
    files = {"request.json": case.request.encode(), "register.json": held.encode()}
    with pytest.raises(WireError, match="suspended before the recording was released"):
        check_authority(
            AuthorityReader(in_memory(files), town.policy, whole)
        )  # ... and the whole doesn't
    with pytest.raises(WireError, match="it counts"):
        lie.check(held)


@pytest.mark.parametrize("has_whole", [True, False], ids=["the whole", "a part"])
def test_a_request_that_was_withdrawn_before_the_release_is_refused(has_whole: bool) -> None:
    """Seen to hold, with the whole register too, while nobody asked whether it was withdrawn."""
    evidence = withdrawn_before()
    whole = WholeRegister(entries=tuple(evidence.town.register_log.entries))
    given = replace(evidence.given, register=whole if has_whole else None)
    report = check_evidence(evidence_of_files(evidence.listed()), given)
    assert report.exit_code is Exit.LOG
    (why,) = {one.detail for one in report.checks if one.result is Result.FAILS}
    assert why == "the request was withdrawn before the recording was released"


# --- ages ---


@pytest.fixture(scope="module")
def aged() -> Case:
    town = make_town(age_days=8)
    return Case(town=town, request=town.publish())


def ages_of(case: Case, extract: RegisterExtract, *, released_ms: int | None = None) -> str:
    town = case.town.copy()
    town.now_ms = released_ms or town.now_ms
    release = town.release_proof(device="a" * 20, grant_digest="0" * 64)
    files = {
        "request.json": case.request.encode(),
        "register.json": extract.encode(),
        "release.json": release.encode(),
    }
    return check_ages(AuthorityReader(in_memory(files), town.policy, None))


def test_ages_are_shown_by_checkpoints_that_are_old_enough(aged: Case) -> None:
    assert "when the release was witnessed" in ages_of(aged, aged.extract)


def test_an_age_that_nothing_shows_ends_in_no_success(aged: Case) -> None:
    bare = changed(aged.extract, ages=[])
    with pytest.raises(NotCheckable, match=r"the agency's first agreement .*7 days.* is not shown"):
        ages_of(aged, bare)
    evidence = make_evidence()
    request = msgspec.json.decode(evidence.files["request.json"], type=SignedRequest)
    bare = changed(evidence.town.extract(request), ages=[])
    listed = evidence.listed(**{"register.json": bare.encode()})
    report = check_evidence(evidence_of_files(listed), evidence.given)
    assert report.exit_code is Exit.INCOMPLETE


def test_limits_that_are_too_young_to_count_let_nobody_in_here_either() -> None:
    """Two administrators and the relay: looser limits, and a request by them at once."""
    town = make_town(age_days=20, limits=Limits(max_window_ms=2 * HOUR_MS))
    town.append(town.change(LimitsChanged(limits=Limits())))
    begun_ms = town.now_ms
    window = {"from_ms": begun_ms - 4 * HOUR_MS, "to_ms": begun_ms, "reason": "A long night."}
    case = Case(town=town, request=town.publish(expires_ms=begun_ms + 6 * 24 * HOUR_MS, **window))
    assert town.register.voids == []
    town.wind(hours=71)
    with pytest.raises(NotCheckable, match=r"the limits .* 72 hours is not shown, .* 2 hours"):
        ages_of(case, case.extract)
    town.wind(hours=2)
    assert "when the release was witnessed" in ages_of(case, case.extract)
    bare = changed(case.extract, ages=case.extract.ages[:-1])
    with pytest.raises(NotCheckable, match=r"the limits .* 72 hours is not shown"):
        ages_of(case, bare)


def test_a_young_checkpoint_shows_no_age(aged: Case) -> None:
    town = aged.town
    note = town.register_log.checkpoint.decode()
    young = changed(aged.extract, ages=[EarlierCheckpoint(note=note, hashes=[])])
    with pytest.raises(NotCheckable, match="is not shown: what is here shows it since"):
        ages_of(aged, young)


def test_a_release_before_the_agreement_was_old_enough_isnt_shown(aged: Case) -> None:
    begun_ms = aged.town.agreement.begins_ms
    with pytest.raises(NotCheckable, match="7 days"):
        ages_of(aged, aged.extract, released_ms=begun_ms + 7 * 24 * HOUR_MS - 1000)


def outdated() -> Evidence:
    """Evidence released two hours after its part of the register, and after a suspension."""
    evidence = make_evidence(film=Film(1, with_sound=False))
    evidence.town.suspend()
    evidence.town.wind(hours=2)
    return regranted(evidence)


def test_a_register_from_before_a_suspension_ends_in_no_success_after_it() -> None:
    """Seen to hold: a relay and a bad doorbell packed the checkpoint before the suspension."""
    evidence = outdated()
    report = check_evidence(evidence_of_files(evidence.listed()), evidence.given)
    assert report.exit_code is Exit.INCOMPLETE
    (why,) = [one.detail for one in report.checks if one.result is Result.NOT_CHECKED]
    assert "what changed in between is not shown" in why


def test_a_register_counts_as_long_as_a_doorbell_releases_by_it(aged: Case) -> None:
    fresh_ms = aged.town.register_log.witnessed().fresh_ms
    latest_ms = fresh_ms + HOUR_MS + SKEW_MS
    assert "witnessed" in ages_of(aged, aged.extract, released_ms=latest_ms)
    with pytest.raises(NotCheckable, match="what changed in between is not shown"):
        ages_of(aged, aged.extract, released_ms=latest_ms + 1000)


def test_an_old_checkpoint_of_another_history_is_refused(aged: Case) -> None:
    """The same keys once signed something else."""
    town = aged.town.copy()
    fork = town.register_log.fork(size=2)
    fork.append(b'{"other":1}', b'{"other":2}', at_ms=town.now_ms - 9 * 24 * HOUR_MS)
    old = aged.extract.ages[-1]
    forged = changed(aged.extract, ages=[changed(old, note=fork.checkpoint.decode())])
    with pytest.raises(WireError, match=r"consistency proof|too few|too many"):
        ages_of(aged, forged)


def test_an_old_checkpoint_that_too_few_witnesses_saw_shows_nothing(aged: Case) -> None:
    log = aged.town.register_log
    lonely = log.note(at_ms=aged.town.now_ms - 30 * 24 * HOUR_MS, by=("north",))
    forged = changed(aged.extract, ages=[EarlierCheckpoint(note=lonely.decode(), hashes=[])])
    with pytest.raises(NotCheckable, match=r"not shown: .*no quorum"):
        ages_of(aged, forged)


# --- a part says what the whole says ---


def logged(proof: str, entry: str) -> LoggedEntry:
    return LoggedEntry(index=parse_proof(proof.encode()).index, entry=entry.encode())


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(History().kinds), max_size=10), st.integers(0, 2**16))
def test_a_part_comes_to_what_the_whole_comes_to(kinds: list[str], seed: int) -> None:
    """After any history: each request with effect has a part that replays to the same state."""
    history = History(seed)
    for kind in [*kinds, "publish"]:
        history.do(kind)
    town, whole = history.town, history.town.register
    for record in list(whole.requests.values())[-2:]:
        extract = town.extract(record.signed)
        assert not isinstance(extract.chain, msgspec.UnsetType)
        named = [extract.agreement, extract.officer, extract.cosigner, extract.request]
        part = replay_chain(
            extract.chain,
            [logged(one.proof, one.entry) for one in [*named, *extract.renewed]],
            logged(extract.last.proof, extract.last.entry),
            origin=whole.origin,
            agency=record.request.agency,
            charter=whole.charter,
        )
        for name in ("widenings", "narrowings", "chain", "admins", "changes"):
            assert getattr(part, name) == getattr(whole, name), name
        assert [one.index for one in part.agreements[record.request.agency]] == [
            one.index for one in whole.agreements[record.request.agency]
        ]
        mine, theirs = (
            part.officer_of(record.signed.officer),
            whole.officer_of(record.signed.officer),
        )
        assert mine is not None
        assert theirs is not None
        assert (mine.index, mine.is_revoked) == (theirs.index, theirs.is_revoked)


def test_signatures_in_a_certificate_of_another_key_are_found(case: Case) -> None:
    stranger = case.town.new_key()
    certificate = changed(case.request.officer, signature=sign_p256(stranger, b"whatever"))
    request = changed(case.request, officer=certificate)
    files = {"request.json": request.encode(), "register.json": case.extract.encode()}
    with pytest.raises(WireError, match="isn't in the register"):
        check_authority(AuthorityReader(in_memory(files), case.town.policy, None))
