"""Notices of agreements in the feed: proposed, changed, lapsed. Made from the register alone.

Each is a post by the relay, made once in each district that the agreement's area touches, whichever
of several relays makes it: its key is taken in the transaction that adds the post.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from relay.agency.register import RegisterView

DAY_MS = 24 * 3600 * 1000
LIFE_MS = 30 * DAY_MS
"""What happened earlier is no news: a post lives as long."""

NoticeEvent = Literal["proposed", "changed", "lapsed"]


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
                events.append(("lapsed", agreement.ends_ms))
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
                        text=_text(event, agreement.name, agreement.version, counts_ms, waits_ms),
                    )


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
        case "lapsed":
            return (
                f"The agreement with {name} has ended. The agency can't ask until there is a new "
                "one. Nothing changes for doorbells.\n\n"
                f"Avtalet med {name} har upphört. Myndigheten kan inte fråga förrän det finns ett "
                "nytt. För dörrklockor ändras ingenting."
            )
