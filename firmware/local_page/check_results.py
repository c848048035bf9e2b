"""What the check page finds: each part of a doorbell judged by its facts. Pure.

A result names texts of the page (`check.says.*`, `check.do.*`) and fills them with numbers. What
only a person can tell (does it hang straight, did the chime sound) is asked, and the answer judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from firmware.health.readings import Reading
from firmware.health.storage_speed import StorageSpeed
from firmware.protocol.events import CameraState

CheckId = Literal[
    "picture",
    "level",
    "focus",
    "signal",
    "button",
    "chime",
    "light",
    "speaker",
    "microphone",
    "clock",
    "card",
    "supply",
    "temperature",
]
CHECKS: Final[tuple[CheckId, ...]] = get_args(CheckId)
ASKED: Final[frozenset[CheckId]] = frozenset({"level", "focus", "chime", "light", "speaker"})
"""Those that a person answers with yes or no."""

Mark = Literal["pass", "look", "fail", "todo", "none"]
"""`todo`: the person has something to do or to answer first; `none`: not fitted, or not known."""

GOOD_DBM, ENOUGH_DBM, WEAK_DBM = -60, -70, -78
FAST_BYTES_PER_S, SLOW_BYTES_PER_S = 5_000_000, 1_500_000
"""Three times what the main stream and its sync need; and what it needs."""
SLOW_SYNC_MS = 1_000
WARM_MILLI_C, HOT_MILLI_C = 65_000, 75_000
HEARD_DBFS = -30.0
"""A voice at the door; a hand that knocks on the case is louder."""
SILENT_DBFS = -90.0
CLOCK_OFF_MS = 60_000
BLURRED = 0.75
"""Less than so much of the best sharpness is worth a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFacts:
    """The sound card: whether there is one, why it can't be used, and how loud it is."""

    has_card: bool = False
    speaker_trouble: str = ""
    microphone_trouble: str = ""
    level_dbfs: float | None = None
    highest_dbfs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """The camera: what it says of itself, and how sharp its pictures are."""

    state: CameraState
    model: str = ""
    width: int = 0
    height: int = 0
    fps_milli: int = 0
    sharpness: int | None = None
    best_sharpness: int | None = None
    lens_milli_dioptres: int | None = None
    """Where the lens focuses, 1/m; None: it is turned by hand, or not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFacts:
    """Everything that is known in one moment of a check."""

    picture: PictureFacts
    sound: SoundFacts = SoundFacts()
    reading: Reading = field(default_factory=Reading)
    has_chime: bool = True
    has_light: bool = True
    presses: int = 0
    tried: frozenset[CheckId] = frozenset()
    """What was sounded or measured so far."""
    answers: Mapping[CheckId, bool] = field(default_factory=dict)
    is_clock_trusted: bool = False
    off_ms: int | None = None
    """The browser's clock minus the doorbell's; None: the browser didn't say."""
    card_speed: StorageSpeed | None = None
    has_card_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One part's judgement: `says` is what was found, `does` what to do about it ("" nothing)."""

    check: CheckId
    mark: Mark
    says: str
    does: str = ""
    values: Mapping[str, int | str] = field(default_factory=dict)
    is_asked: bool = False
    """A yes or no is wanted, or may be changed."""


def results(facts: CheckFacts) -> tuple[CheckResult, ...]:
    """Judge every part, in the order of CHECKS."""
    return tuple(_JUDGES[check](facts) for check in CHECKS)


def _picture(facts: CheckFacts) -> CheckResult:
    seen = facts.picture
    values: dict[str, int | str] = {
        "model": seen.model or "–",
        "width": seen.width,
        "height": seen.height,
        "fps": round(seen.fps_milli / 1000),
    }
    if seen.state == "working":
        return CheckResult(check="picture", mark="pass", says="picture", values=values)
    if seen.state == "starting":
        return CheckResult(
            check="picture", mark="look", says="picture_starting", does="picture_starting"
        )
    return CheckResult(check="picture", mark="fail", says="picture_none", does="picture_none")


def _level(facts: CheckFacts) -> CheckResult:
    return _answered(facts, "level")


def _focus(facts: CheckFacts) -> CheckResult:
    seen = facts.picture
    if seen.sharpness is None or seen.best_sharpness is None:
        return CheckResult(check="focus", mark="todo", says="focus_none", does="focus_none")
    values: dict[str, int | str] = {
        "now": seen.sharpness,
        "best": seen.best_sharpness,
        "lens_cm": _distance_cm(seen.lens_milli_dioptres),
    }
    lens = "focus_auto" if seen.lens_milli_dioptres is not None else "focus"
    answer = facts.answers.get("focus")
    is_blurred = seen.sharpness < BLURRED * seen.best_sharpness
    if answer is None:
        mark: Mark = "todo"
    elif answer:
        mark = "look" if is_blurred else "pass"
    else:
        mark = "fail"
    does = {"todo": lens, "look": "focus_worse", "fail": f"{lens}_no"}.get(mark, "")
    return CheckResult(check="focus", mark=mark, says=lens, does=does, values=values, is_asked=True)


def _distance_cm(milli_dioptres: int | None) -> int | str:
    """Return the distance that a lens focuses at; "∞" beyond 50 m."""
    if milli_dioptres is None or milli_dioptres < 20:
        return "∞"
    return round(100_000 / milli_dioptres)


def _signal(facts: CheckFacts) -> CheckResult:
    dbm = facts.reading.signal_dbm
    if dbm is None:
        return CheckResult(check="signal", mark="none", says="signal_none")
    values = {"dbm": _signed(dbm)}
    if dbm >= GOOD_DBM:
        return CheckResult(check="signal", mark="pass", says="signal_good", values=values)
    if dbm >= ENOUGH_DBM:
        return CheckResult(check="signal", mark="pass", says="signal_enough", values=values)
    if dbm >= WEAK_DBM:
        return CheckResult(
            check="signal", mark="look", says="signal_weak", does="signal_weak", values=values
        )
    return CheckResult(
        check="signal", mark="fail", says="signal_bad", does="signal_bad", values=values
    )


def _button(facts: CheckFacts) -> CheckResult:
    if not facts.presses:
        return CheckResult(check="button", mark="todo", says="button_none", does="button_none")
    values = {"count": facts.presses}
    return CheckResult(check="button", mark="pass", says="button", values=values)


def _chime(facts: CheckFacts) -> CheckResult:
    if not facts.has_chime:
        return CheckResult(check="chime", mark="none", says="chime_none")
    return _tried_and_answered(facts, "chime")


def _light(facts: CheckFacts) -> CheckResult:
    if not facts.has_light:
        return CheckResult(check="light", mark="none", says="light_none")
    return _answered(facts, "light")


def _speaker(facts: CheckFacts) -> CheckResult:
    if not facts.sound.has_card:
        return CheckResult(check="speaker", mark="none", says="speaker_none")
    if facts.sound.speaker_trouble:
        return _sound_failed(facts, "speaker", facts.sound.speaker_trouble)
    return _tried_and_answered(facts, "speaker")


def _microphone(facts: CheckFacts) -> CheckResult:
    sound = facts.sound
    if not sound.has_card:
        return CheckResult(check="microphone", mark="none", says="microphone_none")
    if sound.microphone_trouble:
        return _sound_failed(facts, "microphone", sound.microphone_trouble)
    if sound.highest_dbfs is None or sound.level_dbfs is None:
        return CheckResult(
            check="microphone", mark="todo", says="microphone_opens", does="microphone_opens"
        )
    values = {"now": _signed(sound.level_dbfs), "most": _signed(sound.highest_dbfs)}
    if sound.highest_dbfs >= HEARD_DBFS:
        return CheckResult(check="microphone", mark="pass", says="microphone", values=values)
    does = "microphone_silent" if sound.highest_dbfs <= SILENT_DBFS else "microphone"
    return CheckResult(check="microphone", mark="todo", says="microphone", does=does, values=values)


def _signed(decibels: float) -> str:
    """Write decibels with a real minus sign."""
    return f"{round(decibels)}".replace("-", "\N{MINUS SIGN}")


def _sound_failed(facts: CheckFacts, check: CheckId, trouble: str) -> CheckResult:
    return CheckResult(
        check=check,
        mark="fail",
        says="sound_failed",
        does="sound_failed",
        values={"detail": trouble},
        is_asked=check in facts.tried and check in ASKED,
    )


def _clock(facts: CheckFacts) -> CheckResult:
    if not facts.is_clock_trusted:
        return CheckResult(check="clock", mark="look", says="clock_unknown", does="clock_unknown")
    off_ms = facts.off_ms
    if off_ms is None:
        return CheckResult(check="clock", mark="pass", says="clock")
    if abs(off_ms) < CLOCK_OFF_MS:
        values = {"seconds": round(abs(off_ms) / 1000)}
        return CheckResult(check="clock", mark="pass", says="clock_same", values=values)
    values = {"minutes": round(abs(off_ms) / 60_000)}
    return CheckResult(
        check="clock", mark="look", says="clock_off", does="clock_off", values=values
    )


def _card(facts: CheckFacts) -> CheckResult:
    if facts.has_card_failed:
        return CheckResult(check="card", mark="fail", says="card_failed", does="card_failed")
    speed = facts.card_speed
    if speed is None:
        return CheckResult(check="card", mark="todo", says="card_none", does="card_none")
    megabytes = speed.bytes_per_s // 1_000_000
    values = {"speed": megabytes, "slowest": speed.slowest_ms}
    if speed.bytes_per_s < SLOW_BYTES_PER_S:
        return CheckResult(check="card", mark="fail", says="card", does="card_slow", values=values)
    if speed.bytes_per_s < FAST_BYTES_PER_S or speed.slowest_ms > SLOW_SYNC_MS:
        return CheckResult(check="card", mark="look", says="card", does="card_weak", values=values)
    return CheckResult(check="card", mark="pass", says="card", values=values)


def _supply(facts: CheckFacts) -> CheckResult:
    bits = facts.reading.throttling
    if bits is None:
        return CheckResult(check="supply", mark="none", says="supply_none")
    if bits.has_weak_power:
        return CheckResult(check="supply", mark="fail", says="supply_now", does="supply")
    if bits.had_weak_power:
        return CheckResult(check="supply", mark="look", says="supply_before", does="supply")
    return CheckResult(check="supply", mark="pass", says="supply")


def _temperature(facts: CheckFacts) -> CheckResult:
    milli_c = facts.reading.temperature_milli_c
    if milli_c is None:
        return CheckResult(check="temperature", mark="none", says="temperature_none")
    values = {"degrees": round(milli_c / 1000)}
    mark: Mark = "pass" if milli_c < WARM_MILLI_C else "look" if milli_c < HOT_MILLI_C else "fail"
    does = "" if mark == "pass" else "temperature"
    return CheckResult(check="temperature", mark=mark, says="temperature", does=does, values=values)


def _tried_and_answered(facts: CheckFacts, check: CheckId) -> CheckResult:
    if check not in facts.tried:
        return CheckResult(
            check=check, mark="todo", says=f"{check}_untried", does=f"{check}_untried"
        )
    return _answered(facts, check)


def _answered(facts: CheckFacts, check: CheckId) -> CheckResult:
    """Judge by the person's answer."""
    answer = facts.answers.get(check)
    if answer is None:
        return CheckResult(
            check=check, mark="todo", says=f"{check}_asked", does=check, is_asked=True
        )
    if answer:
        return CheckResult(check=check, mark="pass", says=f"{check}_yes", is_asked=True)
    return CheckResult(
        check=check, mark="fail", says=f"{check}_no", does=f"{check}_no", is_asked=True
    )


_JUDGES: Final[Mapping[CheckId, Callable[[CheckFacts], CheckResult]]] = {
    "picture": _picture,
    "level": _level,
    "focus": _focus,
    "signal": _signal,
    "button": _button,
    "chime": _chime,
    "light": _light,
    "speaker": _speaker,
    "microphone": _microphone,
    "clock": _clock,
    "card": _card,
    "supply": _supply,
    "temperature": _temperature,
}
