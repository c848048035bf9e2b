"""Notices of agreements in the feed: proposed, changed, suspended, lapsed.

They are made from the register alone. Each is a post by the relay, made once in each district that
the agreement's area touches, whichever of several relays makes it: its key is taken in the
transaction that adds the post.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from firmware.protocol.encoding import new_id
from firmware.protocol.register.facts import AgreementFact
from relay.agency.register import RegisterView, RelayRegister
from relay.base.clock import Clock
from relay.feed.rules import DAY_MS, HOUR_MS, LIFE_MS, AgreementReference, encode_reference
from relay.map.cells import parent_of
from relay.map.districts import Districts
from relay.store import feed, feed_review
from relay.store.database import Database
from relay.store.feed import PostRow

EACH_S = 3600.0
"""An agreement lapses by the clock alone."""

NoticeEvent = Literal["proposed", "changed", "suspended", "lapsed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementNotice:
    """A notice for one district; `cell` is one of the district's that the agreement touches."""

    key: str
    district: str
    cell: str
    agency: str
    version: int
    event: NoticeEvent
    at_ms: int
    text: str
    text_sha256: str


class AgreementNotices:
    """The task that posts notices when the register was published, and once an hour."""

    def __init__(
        self, database: Database, clock: Clock, register: RelayRegister, districts: Districts
    ) -> None:
        self._database = database
        self._clock = clock
        self._register = register
        self._districts = districts
        self._waiter = database.signals.waiter("published")

    async def run(self) -> None:
        """Post until cancelled."""
        next_s, is_woken = 0.0, False
        while True:
            now_s = asyncio.get_running_loop().time()
            if is_woken or now_s >= next_s:
                await self.post_due()
                next_s = now_s + EACH_S
            is_woken = await self._waiter.wait()

    async def post_due(self) -> list[str]:
        """Post what wasn't posted yet; return the keys of it."""
        if not self._districts:
            return []
        view = await self._register.view()
        async with self._database.read() as tx:
            made = await feed_review.list_notices(tx)
        due = [one for one in notices_of(view, self._place_of) if one.key not in made]
        return [one.key for one in due if await self._post(one)]

    async def _post(self, notice: AgreementNotice) -> bool:
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            if not await feed_review.take_notice(tx, notice.key, now_ms):
                return False  # another relay was first
            await feed.add_post(
                tx,
                PostRow(
                    id=new_id(),
                    district=notice.district,
                    cell=notice.cell,
                    kind="official",
                    hour_ms=notice.at_ms - notice.at_ms % HOUR_MS,
                    text=notice.text,
                    written_by="relay",
                    account_id=None,
                    agency=notice.agency,
                    refers=encode_reference(AgreementReference(agreement=notice.text_sha256)),
                    is_urgent=False,
                    state="published",
                    written_ms=now_ms,
                    changed_ms=now_ms,
                    published_ms=now_ms,
                ),
            )
        return True

    def _place_of(self, cell: str) -> tuple[str, str] | None:
        around = parent_of(cell)
        district = self._districts.at(around)
        return None if district is None else (district.id, around)


def notices_of(
    view: RegisterView, place_of: Callable[[str], tuple[str, str] | None]
) -> Iterator[AgreementNotice]:
    """Yield the notices that the register gives rise to in the last 30 days. Pure.

    `place_of` returns district and feed cell of an agreement's cell; None outside all districts.
    """
    for agency in sorted(view.facts.agreements):
        facts = view.facts.agreements[agency]
        for index, fact in enumerate(facts):
            places: dict[str, str] = {}
            for cell in sorted(fact.agreement.cells):
                place = place_of(cell)
                if place is not None:
                    places.setdefault(*place)
            agreement = fact.agreement
            events: list[tuple[NoticeEvent, int]] = []
            if fact.seen_ms is not None:
                events.append(("proposed" if index == 0 else "changed", fact.seen_ms))
            if index == len(facts) - 1 and fact.seen_ms is not None:
                events += _end_of(fact)
            for event, at_ms in events:
                if not view.now_ms - LIFE_MS < at_ms <= view.now_ms:
                    continue
                delays = view.facts.delays
                waits_ms = delays.agreement_age_ms if index == 0 else delays.key_age_ms
                counts_ms = max(at_ms + waits_ms, agreement.begins_ms)
                for district, cell in sorted(places.items()):
                    yield AgreementNotice(
                        key=f"agreement/{agency}/{agreement.version}/{event}/{district}",
                        district=district,
                        cell=cell,
                        agency=agency,
                        version=agreement.version,
                        event=event,
                        at_ms=at_ms,
                        text_sha256=agreement.text_sha256,
                        text=_text(event, agreement.name, agreement.version, counts_ms, waits_ms),
                    )


def _end_of(fact: AgreementFact) -> list[tuple[NoticeEvent, int]]:
    """Return how the newest agreement ends: suspended, it has no other end that matters."""
    if not fact.is_suspended:
        return [("lapsed", fact.agreement.ends_ms)]
    if fact.suspended_ms is None or fact.suspended_ms >= fact.agreement.ends_ms:
        return []
    return [("suspended", fact.suspended_ms)]


def _text(event: NoticeEvent, name: str, version: int, counts_ms: int, waits_ms: int) -> str:
    """Return the notice in both languages: a post has one text for all readers."""
    day = f"{datetime.fromtimestamp(counts_ms / 1000, UTC):%Y-%m-%d}"
    days = max(1, round(waits_ms / DAY_MS))
    match event:
        case "proposed":
            return (
                f"An agreement with {name} is proposed. It is public for {days} days before it "
                f"counts, on {day} at the earliest. Read it in the public record.\n\n"
                f"Ett avtal med {name} är föreslaget. Det är offentligt i {days} dagar innan det "
                f"gäller, tidigast {day}. Läs det i det offentliga registret."
            )
        case "changed":
            return (
                f"The agreement with {name} was changed: version {version}. It counts from {day} "
                "at the earliest. The public record compares both versions.\n\n"
                f"Avtalet med {name} ändrades: version {version}. Det gäller tidigast från {day}. "
                "Det offentliga registret jämför versionerna."
            )
        case "suspended":
            return (
                f"The agreement with {name} is suspended. The agency can't ask until there is a "
                "new one. Nothing changes for doorbells. Read it in the public record.\n\n"
                f"Avtalet med {name} är upphävt tills vidare. Myndigheten kan inte fråga förrän "
                "det finns ett nytt. För dörrklockor ändras ingenting. Läs det i det offentliga "
                "registret."
            )
        case "lapsed":
            return (
                f"The agreement with {name} has ended. The agency can't ask until there is a new "
                "one. Nothing changes for doorbells.\n\n"
                f"Avtalet med {name} har upphört. Myndigheten kan inte fråga förrän det finns ett "
                "nytt. För dörrklockor ändras ingenting."
            )
