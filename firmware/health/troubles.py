"""State machine of troubles: decides which begin and end, so that each is reported once.

A state that flaps must not flood: a trouble counts after it has lasted (`begin_s`) and is over
after it has been gone (`end_s`); each time that it comes back within a day, `end_s` doubles, up
to an hour. Reported troubles outlive a restart (`kept_in`), so that none stays open for ever.
A trouble is reported once `mark_told` was called for it: until then `due` returns it again.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import msgspec

from firmware.protocol.events import TroubleCode
from firmware.system.durable_files import write_atomic

QUIET_S = 24 * 3600.0
MAX_END_S = 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Time for which a trouble must last, and be gone, before that is reported."""

    begin_s: float
    end_s: float


HOLDS: Mapping[TroubleCode, Hold] = {
    "camera": Hold(begin_s=10, end_s=30),
    "camera_gaps": Hold(begin_s=0, end_s=600),
    "card_full": Hold(begin_s=0, end_s=300),
    "card_slow": Hold(begin_s=0, end_s=600),
    "card_failing": Hold(begin_s=0, end_s=300),
    "storage_key": Hold(begin_s=0, end_s=60),
    "sound": Hold(begin_s=10, end_s=30),
    "too_much_motion": Hold(begin_s=0, end_s=0),
    "power_weak": Hold(begin_s=0, end_s=300),
    "too_hot": Hold(begin_s=0, end_s=300),
    "clock_unknown": Hold(begin_s=300, end_s=10),
    "register": Hold(begin_s=0, end_s=60),
    "certificate": Hold(begin_s=0, end_s=0),
    "shard": Hold(begin_s=0, end_s=0),
    "card_cloned": Hold(begin_s=0, end_s=0),
}


@dataclass(frozen=True, slots=True)
class News:
    """The begin or the end of a trouble, to be reported."""

    code: TroubleCode
    is_over: bool


@dataclass(slots=True)
class _Watched:
    is_there: bool = False
    since_s: float | None = None
    is_told: bool = False
    times: int = 0
    last_over_s: float = field(default=-QUIET_S)


class Troubles:
    """The troubles of one doorbell. All but `keep` is for one thread."""

    def __init__(
        self, *, kept_in: Path | None = None, holds: Mapping[TroubleCode, Hold] = HOLDS
    ) -> None:
        self._kept_in = kept_in
        self._holds = holds
        self._watched: dict[TroubleCode, _Watched] = {code: _Watched() for code in holds}
        for code in _load(kept_in):
            self._watched[code].is_told = True

    @property
    def told(self) -> list[TroubleCode]:
        """The troubles that the owner knows of, and that aren't over."""
        return [code for code, watched in self._watched.items() if watched.is_told]

    def see(self, present: Iterable[TroubleCode], now_s: float) -> None:
        """Take the troubles of this moment."""
        now_present = set(present)
        for code, watched in self._watched.items():
            is_there = code in now_present
            if is_there != watched.is_there or watched.since_s is None:
                watched.is_there, watched.since_s = is_there, now_s

    def due(self, now_s: float) -> list[News]:
        """Return the begins and ends that are due to be reported."""
        news = []
        for code, watched in self._watched.items():
            if watched.since_s is None:
                continue
            lasted_s = now_s - watched.since_s
            if watched.is_there and not watched.is_told:
                if lasted_s >= self._holds[code].begin_s:
                    news.append(News(code, is_over=False))
            elif watched.is_told and not watched.is_there and lasted_s >= self._end_s(code):
                news.append(News(code, is_over=True))
        return news

    def mark_told(self, news: News, now_s: float) -> None:
        """Mark as reported; `keep` makes it durable."""
        watched = self._watched[news.code]
        watched.is_told = not news.is_over
        if news.is_over:
            watched.last_over_s = now_s
        else:
            is_new = now_s - watched.last_over_s >= QUIET_S
            watched.times = 1 if is_new else watched.times + 1

    def keep(self) -> None:
        """Store the reported troubles. Blocks; the only method for another thread."""
        if self._kept_in is not None:
            write_atomic(self._kept_in, msgspec.json.encode(self.told))

    def _end_s(self, code: TroubleCode) -> float:
        doublings = max(0, min(10, self._watched[code].times - 1))
        return max(
            self._holds[code].end_s, min(MAX_END_S, self._holds[code].end_s * 2.0**doublings)
        )


def _load(path: Path | None) -> list[TroubleCode]:
    if path is None or not path.exists():
        return []
    try:
        names = msgspec.json.decode(path.read_bytes(), type=list[str])
    except (OSError, msgspec.DecodeError) as error:
        log.warning("%s can't be read, so troubles may be reported twice: %s", path, error)
        return []
    return [code for code in get_args(TroubleCode) if code in names]
