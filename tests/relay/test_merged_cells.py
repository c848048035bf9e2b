"""Agreements that merge map cells otherwise than others: refused, or said to administrators."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import h3
import pytest

from firmware.protocol.register.entries import Agreement, Delays, Limits
from firmware.protocol.register.records import AgreementRecord
from firmware.protocol.register.replay import Register
from firmware.protocol.register.rules import RuleBroken, check_area
from relay.__main__ import main
from relay.agency.changes import ProposedChange
from relay.agency.errors import AreaRefused
from relay.agency.merged_cells import (
    check_own_merging,
    compare_merging,
    find_merge_conflicts,
    list_merge_conflicts,
)
from relay.agency.register import RegisterService
from relay.cli.preflight import check_merged_cells
from relay.cli.register import with_register
from relay.store.database import Database
from tests.fakes.clock import ManualClock
from tests.fakes.lost_relay import make_relay
from tests.relay.admin_people import signed_in_admin
from tests.relay.http_world import DAY_MS, World, open_world
from tests.relay.onboarding_people import Applicant, reason_of
from tests.relay.register_town import RegisterTown

CELLS = sorted(h3.grid_disk("8928308280fffff", 1))
A, B, C, D = CELLS[:4]


def agreement_of(agency: str, *merged: list[str], **changes: Any) -> Agreement:
    fields: dict[str, Any] = {
        "origin": "example.testtown/register",
        "agency": agency,
        "name": agency.title(),
        "version": 1,
        "text_sha256": "0" * 64,
        "vote": "none",
        "gifts": "none",
        "promotion": "none",
        "begins_ms": 0,
        "ends_ms": 1000,
        "signing_key": "AA",
        "sealing_keys": ["AA"],
        "cells": CELLS,
        "merged": list(merged),
    }
    return Agreement(**(fields | changes))


def register_of(*agreements: Agreement) -> Register:
    register = Register("example.testtown/register")
    for number, agreement in enumerate(agreements):
        record = AgreementRecord(index=number, agreement=agreement)
        register.agreements.setdefault(agreement.agency, []).append(record)
    return register


def areas_of(agreement: Agreement) -> Iterator[frozenset[str]]:
    """Return every area that may be asked about, by the rule that doorbells hold requests to."""
    cells = agreement.cells
    for chosen in chain.from_iterable(combinations(cells, n) for n in range(1, len(cells) + 1)):
        try:
            check_area(chosen, agreement)
        except RuleBroken:
            continue
        yield frozenset(chosen)


def finest(cell: str, areas: list[frozenset[str]]) -> frozenset[str]:
    """Return in what somebody is known to live who gave for all areas with their cell."""
    return frozenset.intersection(*(area for area in areas if cell in area))


def test_what_is_found_is_what_two_officers_together_can_tell() -> None:
    """Each way to merge four cells against each other one, by the doorbells' own rule."""
    four = [A, B, C, D]
    ways: list[list[list[str]]] = [
        [], [[A, B]], [[B, C]], [[A, B], [C, D]], [[A, B, C]], [[A, B], [B, C]],
        [[B, C, D]], [four],
    ]  # fmt: skip
    for ours, theirs, own, foreign in product(ways, ways, (four, [A, B, C]), (four, [B, C, D])):
        one = agreement_of("one", *_inside(ours, own), cells=own)
        two = agreement_of("two", *_inside(theirs, foreign), cells=foreign)
        areas = [list(areas_of(one)), list(areas_of(two))]
        unlike, crossing = [], []
        for cell in sorted({*own} & {*foreign}):
            single = [finest(cell, part) for part in areas]
            if single[0] != single[1]:
                unlike.append(cell)
                together = finest(cell, areas[0] + areas[1])
                crossing += [] if together in single else [cell]
        found = compare_merging(one, two)
        assert (() if found is None else found.cells) == tuple(unlike), (one.merged, two.merged)
        assert (() if found is None else found.crossing) == tuple(crossing)


def _inside(groups: list[list[str]], cells: list[str]) -> list[list[str]]:
    return [group for group in groups if {*group} <= {*cells}]


def test_groups_that_cross_those_of_an_earlier_version_are_refused() -> None:
    register = register_of(agreement_of("lakeland", [A, B], [C, D], ends_ms=1))
    with pytest.raises(AreaRefused) as refused:
        check_own_merging(agreement_of("lakeland", [B, C], version=2), register)
    assert refused.value.reason == "area_merged_across"
    assert refused.value.facts == {"version": 1, "cell": B}
    for groups in ([[A, B], [C, D]], [[A, B, C, D]], [[A, B]], []):
        check_own_merging(agreement_of("lakeland", *groups, version=2), register)
    check_own_merging(agreement_of("mapleton", [B, C]), register)


def test_administrators_are_told_of_what_has_not_ended_and_of_its_own_versions() -> None:
    register = register_of(
        agreement_of("lakeland", [A, B], ends_ms=5),
        agreement_of("oakfield", [A, B, C], ends_ms=1),
        agreement_of("mapleton", [A], version=1, ends_ms=1),
        agreement_of("mapleton", [A, B], version=2, ends_ms=9),
    )
    third = agreement_of("mapleton", [A, C], version=3)
    told = find_merge_conflicts(third, register, now_ms=3)
    assert [(one.other.agency, one.other.version) for one in told] == [
        ("lakeland", 1), ("mapleton", 1), ("mapleton", 2),
    ]  # fmt: skip
    assert told[0].crossing == (A,)


def test_check_tells_each_pair_once_and_no_agencys_smaller_groups() -> None:
    register = register_of(
        agreement_of("lakeland", [A, B]),
        agreement_of("lakeland", version=2),
        agreement_of("mapleton", [B, C]),
        agreement_of("oakfield", [A, B], cells=[A, B]),
    )
    found = [
        (one.agency, one.version, differs.other.agency, differs.crossing)
        for one, differs in list_merge_conflicts(register, now_ms=1)
    ]
    assert found == [
        ("lakeland", 1, "mapleton", (B,)),
        ("lakeland", 2, "mapleton", ()),
        ("lakeland", 2, "oakfield", ()),
        ("mapleton", 1, "oakfield", (B,)),
    ]


def test_many_agreements_that_are_alike_give_no_warning() -> None:
    many = [agreement_of(f"agency-{number}", [A, B]) for number in range(50)]
    assert list_merge_conflicts(register_of(*many), now_ms=1) == []


def test_so_many_pairs_are_looked_for_and_no_more() -> None:
    cross = [[A, B], [C, D]], [[B, C]]
    register = register_of(
        *(agreement_of(f"agency-{number:02}", *cross[number % 2]) for number in range(20))
    )
    every = list_merge_conflicts(register, now_ms=1)
    assert len(every) == 100
    assert list_merge_conflicts(register, now_ms=1, most=7) == every[:7]
    for one, differs in every:
        assert differs == compare_merging(one, differs.other)


# --- on the pages, and on the command line ---


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_an_administrator_sees_it_before_signing(world: World) -> None:
    now_ms = world.clock.wall_ms()
    await world.town.agree(
        "oakfield", "Oakfield <b>Police", cells=CELLS, begins_ms=now_ms, merged=[[A, B]]
    )
    admin = await signed_in_admin(world)
    alike = await Applicant(world, "mapleton").enrolled(cells=CELLS, merged=[[A, B]])
    assert 'id="merging"' not in (await admin.get(f"/onboardings/{alike.id}")).text
    other = await Applicant(world, "elmwood").enrolled(cells=CELLS, merged=[[B, C]])
    page = (await admin.get(f"/onboardings/{other.id}")).text
    section = page.split('id="merging"')[1].split("</section>")[0]
    assert "Oakfield &lt;b&gt;Police" in section
    assert "Groups cross" in section
    assert B in section.split("Oakfield")[1].split("</tr>")[0]
    assert "Lakeland Police</a>, version 1</span>" in section  # has C, and merges it with none
    assert "Prepare" in page  # people decide


async def test_the_next_version_cannot_cross_the_last_ones_groups(world: World) -> None:
    """Seen to be taken with `check_own_merging` out of `read_enrolment`."""
    now_ms = world.clock.wall_ms()
    ends_ms = now_ms + 30 * DAY_MS
    merged = {"merged": [[A, B], [C, D]]}
    await world.town.agree(
        "mapleton", "Mapleton Police", cells=CELLS, begins_ms=now_ms, ends_ms=ends_ms, **merged
    )
    applicant = Applicant(world)
    await applicant.ask()
    await applicant.confirm()
    refused = await applicant.upload(applicant.enrolment(version=2, cells=CELLS, merged=[[B, C]]))
    assert (refused.status_code, reason_of(refused)) == (422, "area_merged_across")
    assert B in refused.text
    whole = await applicant.upload(
        applicant.enrolment(version=2, cells=CELLS, merged=[[A, B, C, D]])
    )
    assert whole.status_code == 303


async def test_check_and_the_command_that_submits_say_it_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen to be added with `check_own_merging` out of `admin submit`."""
    relay = await make_relay(tmp_path)
    clock = ManualClock()
    assert await check_merged_cells(relay.config, clock) == []

    async def fill(database: Database, desk: RegisterService) -> ProposedChange:
        town, now_ms = RegisterTown(desk, database), clock.wall_ms()
        await town.charter(delays=Delays(), limits=Limits())
        for agency, groups in (("lakeland", [[A, B]]), ("mapleton", [[B, C]])):
            await town.agree(agency, agency, cells=CELLS, begins_ms=now_ms, merged=groups)
        _, change = await town.signed_agreement(
            "lakeland", "lakeland", cells=CELLS, begins_ms=now_ms, merged=[[B, C]]
        )
        return change

    change = await with_register(relay.config, fill)
    (finding,) = await check_merged_cells(relay.config, clock)
    assert finding.is_ok
    assert finding.is_warning
    assert f"lakeland (version 1) and mapleton (version 1) merge across each other: {B}." in (
        finding.detail
    )
    (tmp_path / "change.json").write_bytes(change.encode())
    words = ["admin", "submit", str(tmp_path / "change.json"), "--config", str(relay.config_path)]
    assert await asyncio.to_thread(main, words) == 1
    assert "cross those of version 1" in capsys.readouterr().err
