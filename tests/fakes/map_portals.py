"""Two portals for the attacker of the map: one of the kind that gave homes away, and Doorward's.

`FreePortal` takes any shape of a legal size and shows a number, as portals did before.
`RulePortal` is the relay's and the doorbells' own rules, without their database, pages and
signatures (`unsigned` leaves those out): the real replay, desk rules, batches and matching, quick
enough for hundreds of months. map_relay.py is the whole relay, which must show the same.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from itertools import count
from typing import Any

import numpy as np
import pytest

from firmware.consent import request_rules
from firmware.consent.request_rules import check_request
from firmware.protocol.encoding import decode_canonical
from firmware.protocol.passkeys import Assertion
from firmware.protocol.register import replay
from firmware.protocol.register.entries import LeafBody, RequestLeaf, WithdrawnLeaf
from firmware.protocol.register.facts import Stamps, facts_of
from firmware.protocol.register.replay import Register
from firmware.protocol.requests import (
    EvidenceRequest,
    SignedRequest,
    SignedWithdrawal,
    Withdrawal,
)
from relay.agency.errors import AreaRefused
from relay.agency.jurisdiction import cells_of_geojson
from relay.agency.register import RegisterView
from relay.map.cells import cell_at
from relay.request import rules
from relay.request.batches import next_boundary_ms, seen_until_ms
from relay.request.rules import RequestRefused, check_draft, require_agreement
from relay.store.people import Account
from relay.store.requests import Draft
from tests.fakes.log_town import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Town, TownOfficer, make_town
from tests.fakes.map_attacker import Arrival, Asked, Seen
from tests.fakes.map_homes import Area, Home, Homes, Piece, Rect, jurisdiction, lon_lat, merged

MIN_AREA_M2, MAX_AREA_M2 = 64_750, 1_294_994
"""What the portals of before took (0.025 to 0.5 square miles)."""
BATCH_MS = 15 * 60 * 1000
CERTAIN_MS = 60 * 1000
"""So long after a batch began a doorbell has read of the request, and its owner may answer."""


def snap(rect: Rect) -> Area:
    """Return a rectangle's cells, as the officers' map makes them (js/map/area.js)."""
    try:
        return frozenset(cells_of_geojson(rect.geojson()))
    except AreaRefused:
        lon, lat = lon_lat((rect.left + rect.right) / 2, (rect.bottom + rect.top) / 2)
        return frozenset([cell_at(lat, lon)])


class FreePortal:
    """Takes rectangles, and shows how many doorbells there are that may be asked."""

    draws_freely = True

    def __init__(self, homes: Homes, *, show: Callable[[int], int] = lambda number: number) -> None:
        self.day = 0
        self._x = np.array([home.x for home in homes.all])
        self._y = np.array([home.y for home in homes.all])
        self._days = np.array([home.days for home in homes.all])
        self._show = show
        self._ids = count()

    def snap(self, rect: Rect) -> Area:
        return frozenset([rect])

    async def ask(
        self, area: Iterable[Piece], *, by: int = 0, renews: Asked | None = None
    ) -> Asked | str:
        """Publish at once whatever is of a legal size; nothing here is renewed."""
        rects = [piece for piece in area if isinstance(piece, Rect)]
        if by not in (0, 1) or renews is not None:
            return "renewal"
        if not MIN_AREA_M2 <= sum(rect.size_m2 for rect in rects) <= MAX_AREA_M2:
            return "area"
        return Asked(id=str(next(self._ids)), area=frozenset(rects), day=self.day)

    async def withdraw(self, asked: Asked) -> None:
        """Nothing is shown less."""

    async def wait(self, *, minutes: int = 0, batches: int = 0, days: int = 0) -> None:
        self.day += days + (batches + minutes // 15) // 96

    async def seen(self, asked: Asked) -> Seen:
        inside = np.zeros(len(self._x), bool)
        for rect in asked.area:
            assert isinstance(rect, Rect)
            inside |= (
                (rect.left <= self._x)
                & (self._x < rect.right)
                & (rect.bottom <= self._y)
                & (self._y < rect.top)
            )
        asks = inside & (self._days >> self.day & 1).astype(bool)
        return Seen(shown=self._show(int(asks.sum())))


# --- Doorward's ---


@cache
def map_town() -> Town:
    """Return a town whose agency's jurisdiction is the whole square."""
    town = make_town(cells=jurisdiction(), age_days=20)
    town.now_ms -= 8 * DAY_MS
    town.make_agreement(merged=[sorted(group) for group in merged()])
    town.wind(days=8)
    return town


@cache
def _replayed() -> tuple[Register, Stamps]:
    """Return that town's register, which each world begins with."""
    return map_town().register, map_town().stamps


@contextmanager
def unsigned() -> Iterator[None]:
    """Leave all signatures out: nothing is signed, and nothing is checked for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "_check_assertion", _nothing)
        patch.setattr(replay, "check_officers", _nothing)
        patch.setattr(replay, "check_withdrawal", _withdrawal_of)
        patch.setattr(request_rules, "check_signatures", _nothing)
        yield


def _nothing(*_arguments: Any) -> None:
    """Check nothing."""


def _withdrawal_of(signed: SignedWithdrawal, _signing_key: bytes) -> Withdrawal:
    return decode_canonical(Withdrawal, signed.withdrawal.encode())


NOBODYS = Assertion(
    credential_id="AA", authenticator_data="AA", client_data_json="AA", signature="AA"
)


class RulePortal:
    """The relay's and the doorbells' rules, for one month and one world; inside `unsigned`."""

    draws_freely = False

    def __init__(self, homes: Homes) -> None:
        town = map_town()
        self.now_ms = next_boundary_ms(NOW_MS, BATCH_MS)
        self._homes = homes
        self._register, self._stamps = deepcopy(_replayed())
        self._officers = (town.officer, town.cosigner)
        self._agency = town.agreement.agency
        self._passed: list[tuple[EvidenceRequest, SignedRequest]] = []
        self._arrived: dict[str, list[tuple[int, int]]] = {}
        self._began_ms: dict[str, int] = {}
        self._ids = count()

    @property
    def day(self) -> int:
        return (self.now_ms - NOW_MS) // DAY_MS

    def snap(self, rect: Rect) -> Area:
        return snap(rect)

    async def ask(
        self, area: Iterable[Piece], *, by: int = 0, renews: Asked | None = None
    ) -> Asked | str:
        """Draft, co-sign, let a moderator pass it, and publish it with the end of the batch."""
        officer, cosigner = self._officers[by], self._officers[1 - by]
        request = self._write(sorted(map(str, area)), officer, cosigner, renews)
        text = request.encode().decode()
        draft = Draft(request=text, assertion=NOBODYS, officer=officer.certificate)
        account = Account(id=officer.id, role="officer", agency=self._agency, name=officer.name)
        try:
            check_draft(draft, account, self._view())
        except RequestRefused as error:
            return error.reason
        signed = SignedRequest(
            request=text,
            assertion=NOBODYS,
            officer=officer.certificate,
            cosignature=NOBODYS,
            cosigner=cosigner.certificate,
        )
        self._pass_batch()
        return self._publish(request, signed)

    async def withdraw(self, asked: Asked) -> None:
        """Put a withdrawal into the register; what was on its way is taken back with it."""
        record = self._register.request_by_id(asked.id)
        assert record is not None
        officer = next(one for one in self._officers if one.id == record.request.officer_id)
        text = Withdrawal(
            request_digest=record.signed.request_digest,
            agency=self._agency,
            officer_id=officer.id,
        ).encode()
        signed = SignedWithdrawal(
            withdrawal=text.decode(), assertion=NOBODYS, officer=officer.certificate
        )
        if self._append(WithdrawnLeaf(signed=signed)):
            some = self._arrived[asked.id]
            self._arrived[asked.id] = [one for one in some if one[0] < self.now_ms]

    async def wait(self, *, minutes: int = 0, batches: int = 0, days: int = 0) -> None:
        self.now_ms += minutes * MINUTE_MS + batches * BATCH_MS + days * DAY_MS

    async def seen(self, asked: Asked) -> Seen:
        until_ms = seen_until_ms(self.now_ms, BATCH_MS)
        arrivals = [
            Arrival((next_boundary_ms(at_ms, BATCH_MS) - self._began_ms[asked.id]) // BATCH_MS, who)
            for at_ms, who in self._arrived[asked.id]
            if at_ms < until_ms
        ]
        return Seen(arrivals=tuple(sorted(arrivals, key=lambda one: (one.batch, one.doorbell))))

    def _write(
        self,
        cells: list[str],
        officer: TownOfficer,
        cosigner: TownOfficer,
        renews: Asked | None,
    ) -> EvidenceRequest:
        number = next(self._ids)
        fields: dict[str, Any] = {"case_number": f"M-{number}"}
        times = {"from_ms": self.now_ms - 2 * HOUR_MS, "to_ms": self.now_ms - HOUR_MS}
        if renews is not None:
            record = self._register.request_by_id(renews.id)
            assert record is not None
            before = record.request
            fields = {"case_number": before.case_number, "renews": before.id}
            times = {"from_ms": before.from_ms, "to_ms": before.to_ms}
        return EvidenceRequest(
            id=f"{number:026d}".translate(_LETTERS),
            agency=self._agency,
            officer_id=officer.id,
            officer_name=officer.name,
            cosigner_id=cosigner.id,
            cosigner_name=cosigner.name,
            contact="desk@lakeland.example",
            incident_type="burglary",
            text="A garage was broken into.",
            cells=cells,
            retention_days=30,
            onward_sharing="none",
            created_ms=self.now_ms,
            expires_ms=self.now_ms + DAY_MS,
            **times,
            **fields,
        )

    def _view(self) -> RegisterView:
        facts = facts_of(self._register, self._stamps, fresh_ms=self.now_ms, requests_since_ms=None)
        return RegisterView(
            register=self._register, stamps=self._stamps, facts=facts, now_ms=self.now_ms
        )

    def _pass_batch(self) -> None:
        self.now_ms = next_boundary_ms(self.now_ms, BATCH_MS)

    def _publish(self, request: EvidenceRequest, signed: SignedRequest) -> Asked | str:
        require_agreement(self._view(), self._agency)
        if not self._append(RequestLeaf(signed=signed)):
            return "register"
        self._arrived[request.id] = []
        self._began_ms[request.id] = self.now_ms
        self._let_doorbells_read(request, signed.request_digest)
        return Asked(id=request.id, area=frozenset(request.cells), day=self.day)

    def _append(self, body: LeafBody) -> bool:
        """Append an entry, witnessed now; tell if it has effect."""
        is_taken = self._register.apply(self._register.next_entry(body)) is None
        self._stamps.add(self._register.size, self.now_ms)
        return is_taken

    def _let_doorbells_read(self, request: EvidenceRequest, digest: str) -> None:
        """Let each doorbell judge the request for its own cell; owners answer as they do."""
        facts = facts_of(
            self._register, self._stamps, fresh_ms=self.now_ms, requests_since_ms=self.now_ms
        )
        for cell in self._homes.by_cell:
            if cell not in request.cells:
                continue
            try:
                check_request(digest, facts, now_ms=self.now_ms, cell=cell, refused=frozenset())
            except request_rules.RequestRefused:
                continue
            for home in self._homes.by_cell[cell]:
                at_ms = answered_ms(home, self.now_ms, self.day)
                if at_ms is not None and at_ms < request.expires_ms:
                    self._arrived[request.id].append((at_ms, home.number))


_LETTERS = str.maketrans("0123456789", "abcdefghij")


def answered_ms(home: Home, published_ms: int, day: int) -> int | None:
    """Return when a home's evidence comes, if its owner gives any.

    When within its batch depends on where the home is: who could see that would learn something.
    """
    if home.answers_after < 0 or not home.is_opted_in(day):
        return None
    within = (home.number + round(home.x * 911 + home.y * 353)) % (BATCH_MS - 2 * CERTAIN_MS)
    return published_ms + home.answers_after * BATCH_MS + CERTAIN_MS + within
