"""The page's words in English and Swedish, and how times are written."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request

LANGUAGES = ("en", "sv")
COOKIE = "dw_door_lang"
ZONE_COOKIE = "dw_door_zone"
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
"""A time zone's name (IANA); nothing that could lead out of the zones' folder."""


@cache
def catalog(language: str) -> Mapping[str, str]:
    """Return all texts of one language by key."""
    text = (
        resources.files("firmware.local_page")
        .joinpath(f"locales/{language}.json")
        .read_text("utf-8")
    )
    texts: dict[str, str] = json.loads(text)
    return texts


def language_of(request: Request) -> str:
    """Return the language: ?lang=, else the cookie, else Accept-Language, else English."""
    for named in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if named in LANGUAGES:
            return named
    accepted = request.headers.get("accept-language", "")[:200]
    wishes = sorted(map(_wish, accepted.split(",")), key=lambda wish: -wish[1])
    return next((name for name, weight in wishes if name in LANGUAGES and weight > 0), "en")


def zone_of(request: Request) -> ZoneInfo | None:
    """Return the reader's time zone: ?zone=, as the owner's app links here, else the cookie."""
    for named in (request.query_params.get("zone"), request.cookies.get(ZONE_COOKIE)):
        if named is not None and _ZONE.fullmatch(named) is not None:
            try:
                return ZoneInfo(named)
            except (ZoneInfoNotFoundError, OSError, ValueError):
                continue  # none that this system knows
    return None


def _wish(item: str) -> tuple[str, float]:
    """Parse one language range with its weight (RFC 9110 section 12.5.4)."""
    tag, _, parameter = item.partition(";")
    name, _, value = parameter.strip().partition("=")
    try:
        weight = float(value) if name == "q" else 1.0
    except ValueError:
        weight = 0.0
    return tag.strip().lower().split("-")[0], weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time as people read it, and as machines do."""

    text: str
    iso: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """One language, with the reader's time zone (None: the machine's own)."""

    language: str
    zone: tzinfo | None

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of `key` with its {names} filled in."""
        return catalog(self.language)[key].format_map(values)

    def moment(self, at_ms: int) -> Moment:
        """Write a wall time with its day and zone."""
        local = self._local(at_ms)
        day = self("weekdays").split()[local.weekday()]
        month = self("months").split()[local.month - 1]
        text = f"{day} {local.day} {month} {local.year}, {local:%H:%M:%S}"
        return Moment(text=text, iso=local.isoformat(timespec="seconds"), zone=_zone(local))

    def span(self, from_ms: int, to_ms: int) -> Moment:
        """Write from when to when, the day once if it is one day."""
        begin, end = self.moment(from_ms), self.moment(to_ms)
        is_one_day = self._local(from_ms).date() == self._local(to_ms).date()
        until = f"–{self._local(to_ms):%H:%M:%S}" if is_one_day else f" – {end.text}"
        return Moment(text=begin.text + until, iso=begin.iso, zone=begin.zone)

    def duration(self, duration_ms: int) -> str:
        """Write how long something is, in minutes and seconds, rounded up to a whole second."""
        minutes, seconds = divmod(-(-duration_ms // 1000), 60)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

    def wait(self, wait_s: int) -> str:
        """Write how long somebody has to wait, rounded up to minutes, or to hours from two on."""
        minutes = max(1, -(-wait_s // 60))
        hours = -(-minutes // 60)
        return (
            self("wait.hours", hours=hours)
            if minutes > 120
            else self("wait.minutes", minutes=minutes)
        )

    def size(self, size_bytes: int) -> str:
        """Write a size in whole gigabytes, or megabytes where it is less than one."""
        unit, name = (10**9, "GB") if size_bytes >= 10**9 else (10**6, "MB")
        return f"{round(size_bytes / unit)} {name}"

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone)


def _zone(local: datetime) -> str:
    offset = f"UTC{local:%z}"
    offset = "UTC" if offset == "UTC+0000" else f"{offset[:-2]}:{offset[-2:]}"
    name = local.tzname() or offset
    return name if name == offset or name.startswith("UTC") else f"{name}, {offset}"
