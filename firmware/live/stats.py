"""The statistics of one viewer's link: round trip, loss, estimate, send rate.

Pure: times are passed in, in seconds of the monotonic clock.
"""

from collections import OrderedDict
from dataclasses import dataclass

from firmware.live.link_estimate import LinkReport

REMEMBERED_REPORTS = 8
DELAY_PER_S = 1 << 16
"""DLSR counts 1/65536 s."""
NEW_RTT_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderStats:
    """The sender's statistics for one viewer, for the log."""

    source: str
    next_source: str | None
    is_key_frames_only: bool
    packets: int
    octets: int
    repeats: int
    """Packets sent once more."""
    forgotten: int
    """Packets asked for once more that were no longer known, or beyond the budget."""
    skipped_units: int
    """Pictures left out because the line was full, and those that needed them."""
    picture_losses: int
    """How often the viewer asked for a key frame."""
    bitrate_bps: float
    lost: float | None
    rtt_s: float | None
    remb_bps: int | None


@dataclass(slots=True)
class SentCounts:
    """A sender's counters; the names are `SenderStats`'."""

    repeats: int = 0
    forgotten: int = 0
    skipped_units: int = 0
    picture_losses: int = 0
    sent_bytes: int = 0


class LinkStats:
    """Turns receiver reports into `LinkReport`s."""

    def __init__(self) -> None:
        self.bitrate_bps = 0.0
        self.lost: float | None = None
        self.rtt_s: float | None = None
        self.remb_bps: int | None = None
        self._reports: OrderedDict[int, float] = OrderedDict()
        self._heard_s = self._reported_s = 0.0
        self._reported_bytes = 0
        self._lost_s = self._told_of_s = 0.0
        self._news: tuple[float | None, float | None] = (None, None)

    def begin(self, now_s: float) -> None:
        """The stream begins."""
        self._heard_s = self._reported_s = now_s

    def note_report(self, now_s: float, ntp: int) -> None:
        """Remember a sender report's time, which the receiver's LSR refers to."""
        self._reports[ntp >> 16 & 0xFFFFFFFF] = now_s
        if len(self._reports) > REMEMBERED_REPORTS:
            self._reports.popitem(last=False)

    def on_receiver_report(self, now_s: float, *, fraction_lost: int, lsr: int, dlsr: int) -> None:
        """Process one report block (RFC 3550 §6.4.1), with its fields as on the wire.

        Each tells what was lost since the one before; until `report`, they count by their time.
        """
        lost = fraction_lost / 256
        self._lost_s += lost * (now_s - self._heard_s)
        self._told_of_s += now_s - self._heard_s
        self._heard_s = now_s
        self.lost = self._lost_s / self._told_of_s if self._told_of_s > 0 else lost
        left_s = self._reports.get(lsr)
        latest_s: float | None = None
        if lsr and left_s is not None:
            latest_s = max(0.0, now_s - left_s - dlsr / DELAY_PER_S)
            before_s = latest_s if self.rtt_s is None else self.rtt_s
            self.rtt_s = before_s + NEW_RTT_SHARE * (latest_s - before_s)
        self._news = (self.lost, latest_s or self._news[1])

    def silent_s(self, now_s: float) -> float:
        """Return the seconds since the last receiver report."""
        return now_s - self._heard_s

    def since_report_s(self, now_s: float) -> float:
        """Return the seconds since the last call of `report`."""
        return now_s - self._reported_s

    def report(self, now_s: float, sent_bytes: int) -> LinkReport:
        """Return the changes since the last report; `sent_bytes` is the total so far."""
        passed_s = now_s - self._reported_s
        if passed_s > 0:
            self.bitrate_bps = (sent_bytes - self._reported_bytes) * 8 / passed_s
        self._reported_s, self._reported_bytes = now_s, sent_bytes
        lost, rtt_s = self._news
        self._news = (None, None)
        self._lost_s = self._told_of_s = 0.0
        return LinkReport(
            at_s=now_s,
            sent_bps=self.bitrate_bps,
            silent_s=self.silent_s(now_s),
            lost=lost,
            rtt_s=rtt_s,
            remb_bps=self.remb_bps,
        )
