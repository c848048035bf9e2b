"""Writes packages/*.json: evidence, what is at hand to check it, and what comes out of each change.

    python -m tests.vectors.make_packages

Read by tests/relay/test_verify_vectors.py and tests/js/verify.test.mjs, so that the command line
and the page in a browser say the same of the same files. Keys and signatures are fresh each time.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace as update
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import UNSET, ValidationError, convert
from msgspec.structs import replace

from firmware.protocol.contents import MAX_FILES
from firmware.protocol.decisions import IdentityGiven
from firmware.protocol.encoding import b64u, canonical, decode
from firmware.protocol.packages import FileName
from firmware.protocol.register.extract import MAX_EXTRACT_BYTES, RegisterExtract
from firmware.protocol.register.register_file import WholeRegister, encode_register
from firmware.protocol.released_part import Provenance
from relay.verify.evidence import is_part_of_evidence
from relay.verify.report import Report, TrustAnchors, check_evidence
from tests.attacks.test_a_changed_package_is_found import FORGERIES, Crime
from tests.attacks.test_a_cut_register_proves_nothing import FORGED as CUT
from tests.attacks.test_a_cut_register_proves_nothing import (
    LAST,
    asked_twice,
    full_town,
    lying_last,
    outdated,
    suspended_last,
    withdrawn_before,
)
from tests.attacks.test_a_void_register_proves_nothing import evidence_of, make_forgery
from tests.attacks.test_an_owner_cannot_stretch_a_date import (
    TO_NOW_MS,
    beyond_its_end,
    corrected,
    drawn_out,
    in_the_registers_log,
    long_before_its_trigger,
)
from tests.fakes.footage import TinyCamera, clip_units
from tests.fakes.log_town import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, make_town
from tests.fakes.media import evidence_of_files
from tests.relay.evidence_files import Evidence, Film, make_evidence, regranted, with_files
from tests.relay.test_verify_identity import BEGIN_MS as IDENTITY_BEGIN_MS
from tests.relay.test_verify_identity import evidence_with
from tests.vectors.make_sound import units_of_sound

HERE = Path(__file__).parent / "packages"
Files = dict[str, bytes]
ALL = ("agency", "policy", "fleet_ca")
FORGED = (
    "two files swapped", "a file taken out", "the list of files taken out", "a file added",
    "cut off", "appended", "GOPs in another order", "a GOP taken out", "one picture later",
    "another recording", "another doorbell's certificate", "another grant",
    "another request", "a grant that says more",
    "another release", "another capture", "another part of the register", "another list of files",
    "the sound taken out",
)  # fmt: skip


def main() -> None:
    """Record, pack, change, and write down what is found."""
    evidence = make_evidence(town=full_town(), film=film(), has_audio=True)
    neighbour = make_evidence(town=evidence.town, film=film(later_s=2), has_audio=True)
    opened = evidence.listed()
    crime = _Frozen(evidence, neighbour, opened, neighbour.listed())
    write("given", given_of(evidence))
    write("package", {"sealed": b64u(evidence.sealed(opened)), "files": encoded(opened)})
    cases = [case(evidence, opened, name, opened, given) for name, given in GIVEN.items()]
    cases += [case(evidence, opened, name, FORGERIES[name](crime)) for name in FORGED]
    cases += [case(evidence, opened, name, make(opened)) for name, make in SHOWN.items()]
    cases += [case(evidence, opened, *changed) for changed in registers(evidence)]
    cases += [of_its_own(name, make()) for name, make in OTHERS.items()]
    cases += whole_registers(evidence, opened)
    write("cases", cases)
    write("limits", limits())


def registers(evidence: Evidence) -> Iterator[tuple[str, Files]]:
    """Yield each way in which the register's part is cut, and the files with it."""
    held = decode(RegisterExtract, evidence.files["register.json"], max_bytes=MAX_EXTRACT_BYTES)
    ways = {name: forge for name, (forge, _) in CUT.items()}
    ways["no age"] = lambda one: replace(one, ages=[])
    ways["no chain"] = lambda one: replace(one, chain=UNSET)
    for name, forge in ways.items():
        yield f"a register: {name}", evidence.listed(**{"register.json": forge(held).encode()})


def whole_registers(evidence: Evidence, opened: Files) -> Iterator[dict[str, Any]]:
    """Yield evidence with the whole register beside it: the right one, and others."""
    entries = list(evidence.town.register_log.entries)
    held = decode(RegisterExtract, evidence.files["register.json"], max_bytes=MAX_EXTRACT_BYTES)
    chainless = evidence.listed(**{"register.json": replace(held, chain=UNSET).encode()})
    yield case(evidence, opened, "the whole register", opened, entries=entries)
    yield case(evidence, opened, "the whole in place of a chain", chainless, entries=entries)
    for name, other in {
        "what came later": [*entries, b"what came later"],
        "too few entries": entries[:-1],
        "two entries swapped": [entries[0], entries[2], entries[1], *entries[3:]],
        "another's": make_town().register_log.entries * 2,
    }.items():
        yield case(evidence, opened, f"a whole register: {name}", opened, entries=other)
    for name, make in {
        "a last entry that lies": lying_last,
        "a withdrawn request": withdrawn_before,
        "a request too many": asked_twice,
    }.items():
        own = make()
        yield of_its_own(f"{name}, by a part", own)
        yield of_its_own(f"{name}, by the whole", own, entries=own.town.register_log.entries)


class _Frozen(Crime):
    """The same crime, with signatures that stay the same: the doorbell's differ each time."""

    def __init__(self, evidence: Evidence, neighbour: Evidence, mine: Files, theirs: Files) -> None:
        super().__init__(evidence, _Listed(neighbour, theirs))
        object.__setattr__(self, "_mine", mine)

    @property
    def files(self) -> Files:
        return dict(self._mine)  # type: ignore[attr-defined]


class _Listed(Evidence):
    """Evidence whose list of files was signed already."""

    def __init__(self, evidence: Evidence, listed: Files) -> None:
        super().__init__(**{name: getattr(evidence, name) for name in evidence.__dict__})
        self._listed = listed

    def listed(self, **changes: bytes | None) -> Files:
        assert not changes
        return dict(self._listed)


def film(*, later_s: float = 0) -> Film:
    """Film for two seconds; the camera has filmed something else before, if told so."""
    filmed, camera = Film(2, with_sound=False), TinyCamera()
    camera.film(later_s)
    filmed.units, filmed.sound = clip_units(camera.film(2)), units_of_sound(2)
    return filmed


GIVEN: dict[str, tuple[str, ...]] = {
    "all at hand": ALL,
    "nothing at hand": (),
    "only the agency": ("agency",),
    "only the policy": ("policy",),
    "no policy": ("agency", "fleet_ca"),
}


def patched(find: bytes, offset: int, data: bytes) -> Callable[[Files], Files]:
    """Return what puts other bytes where `find` stands in the clip."""

    def patch(files: Files) -> Files:
        mp4 = files["clip-1.mp4"]
        at = mp4.index(find, 40) + offset
        return files | {"clip-1.mp4": mp4[:at] + data + mp4[at + len(data) :]}

    return patch


SHOWN: dict[str, Callable[[Files], Files]] = {
    "a byte that nobody hashes": patched(b"VideoHandler", 0, b"w"),
    "turned": patched(b"tkhd", 44, b"\0\0\0\0\0\1\0\0"),
    "shown smaller": patched(b"tkhd", 80, b"\0\x20\0\0"),
    "faster": patched(b"mvhd", 24, b"\0\2\0\0"),
    "an end left out": patched(b"elst", 12, b"\0\0\0\x09"),
    "other parameters": patched(b"avcC", 17, b"\xff"),
    "fragments behind": lambda files: (
        files | {"clip-1.mp4": files["clip-1.mp4"] + b"\0\0\0\x10moof" + bytes(8)}
    ),
    "a foreign box": lambda files: (
        files | {"clip-1.mp4": files["clip-1.mp4"] + b"\0\0\0\x18uuid" + bytes(16)}
    ),
}


def of_part() -> Evidence:
    """Of a recording of three seconds, the owner gave the second, with its sound."""
    filmed = Film(3, with_sound=False)
    filmed.sound = units_of_sound(3)
    return make_evidence(film=filmed, has_audio=True, given_s=(0.5, 2.5))


def silent(**said: Any) -> Evidence:
    """Of one second, whose description says something about its date."""
    return make_evidence(film=Film(1, with_sound=False), **said)


def saying(provenance: str) -> Callable[[], Evidence]:
    """Return what packs, as a doorbell whose software somebody changed, other words of C2PA."""

    def make() -> Evidence:
        evidence = silent()
        part = json.loads(evidence.files["part-1.json"]) | {"provenance": provenance}
        return with_files(evidence, **{"part-1.json": canonical(part)})

    return make


OTHERS: dict[str, Callable[[], Evidence]] = {
    "an agency that nobody let in": lambda: evidence_of(make_forgery()),
    "a part of a recording": of_part,
    "an invented town": lambda: make_evidence(
        town=make_town(kind="example"), film=Film(1, with_sound=False)
    ),
    "a date that was put back": lambda: silent(said_ms=NOW_MS - 26 * HOUR_MS),
    "a commitment that came late": lambda: silent(
        said_ms=NOW_MS - 26 * HOUR_MS, known_ms=NOW_MS - 27 * HOUR_MS
    ),
    "a date before a checkpoint that it names": lambda: silent(
        said_ms=NOW_MS - 40 * MINUTE_MS, known_ms=NOW_MS - 31 * MINUTE_MS
    ),
    "a date after its commitment": lambda: silent(said_ms=NOW_MS + 5 * MINUTE_MS),
    "a checkpoint younger than the commitment": lambda: silent(known_ms=NOW_MS + 5 * MINUTE_MS),
    "before the register was known": lambda: silent(is_register_known=False),
    "without its sound": lambda: make_evidence(film=film(), has_audio=False),
    "a length that no doorbell makes": drawn_out,
    "more before its trigger than a doorbell keeps": lambda: long_before_its_trigger(2 * MINUTE_MS),
    "a day before its trigger": lambda: long_before_its_trigger(DAY_MS),
    "pictures beyond its end": beyond_its_end,
    "a date given later": lambda: corrected(by_ms=TO_NOW_MS, known_ms=NOW_MS - 31 * MINUTE_MS),
    "a date given later, before a checkpoint": lambda: corrected(
        by_ms=TO_NOW_MS - DAY_MS, known_ms=NOW_MS - 31 * MINUTE_MS
    ),
    "a date given later, after its commitment": lambda: corrected(by_ms=TO_NOW_MS + DAY_MS),
    "a date given later, long before its commitment": lambda: corrected(by_ms=TO_NOW_MS - DAY_MS),
    "committed to in the register's log": in_the_registers_log,
    "a doorbell that shows no earlier slot": lambda: with_files(
        silent(), **{"identity.json": None}
    ),
    "a doorbell of a day before": lambda: evidence_with(IDENTITY_BEGIN_MS - DAY_MS),
    "a doorbell of an hour before": lambda: evidence_with(IDENTITY_BEGIN_MS - HOUR_MS),
    "a doorbell of a year before": lambda: evidence_with(IDENTITY_BEGIN_MS - 100 * DAY_MS),
    "another doorbell's earlier slot": lambda: evidence_with(
        IDENTITY_BEGIN_MS - DAY_MS, lambda _: "a" * 20
    ),
    "words of its own about C2PA": saying("Leica M11-P: signature valid, chain trusted"),
    "words of C2PA that are a check's": saying("it has sound, which the owner didn't give"),
    "words of C2PA that every object has": saying("toString"),
    "words of C2PA with another line": saying("c2pa\n"),
    "no library for C2PA": saying("none: the C2PA library isn't installed here"),
    "a request whose text is turned": lambda: silent(text="We look for\u202e a car."),
    "an owner whose name is turned": lambda: regranted(
        silent(), identity=IdentityGiven(name="Berg\u202e")
    ),
    "a program among the files": lambda: with_files(silent(), **{"report.pdf.exe": b"MZ"}),
    **{f"a last entry: {name}": partial(suspended_last, forge) for name, forge in LAST.items()},
    "a register from before a suspension": outdated,
}


NAMES = (
    "clip-1.mp4", "clip-99.mp4", "clip-100.mp4", "clip-0.mp4", "clip-1.mp4.exe", "xclip-1.mp4",
    "trim-1.json", "contents.json", "device.pem", "manifest-1.json\n", "report.pdf.exe", "x.hta",
    "Clip-1.mp4", "../clip-1.mp4", "clip 1.mp4", ".profile", "", "a" * 64, "a" * 65, "tost\u202e",
)  # fmt: skip
WORDS = (
    "c2pa", "none: made for a test", "none: a: b", "none: ", "none:", "c2pa\n", "toString",
    "none: two\nlines", "none: \u202eabc", "none: é", "none: " + "x" * 200, "none: " + "x" * 201,
    "it has sound, which the owner didn't give", "Leica: signature valid", "", "C2PA",
)  # fmt: skip


def limits() -> dict[str, Any]:
    """Which names files in a package may have, and what may be said of C2PA."""
    return {
        "names": [[name, fits(name, FileName), is_part_of_evidence(name)] for name in NAMES],
        "provenance": [[words, fits(words, Provenance)] for words in WORDS],
        "most_files": MAX_FILES,
    }


def fits(text: str, kind: Any) -> bool:  # Any: an annotated type
    """Tell whether a document takes this text."""
    try:
        convert(text, kind)
    except ValidationError:
        return False
    return True


def case(
    evidence: Evidence,
    opened: Files,
    name: str,
    files: Files,
    given: tuple[str, ...] = ALL,
    *,
    entries: Sequence[bytes] = (),
) -> dict[str, Any]:
    """Say what changed, and what is found; `entries` are the whole register's, if it is given."""
    changes = {
        one: None if one not in files else change_of(opened.get(one, b""), files[one])
        for one in sorted(opened.keys() | files.keys())
        if opened.get(one) != files.get(one)
    }
    anchors = with_register(given_by(evidence, given), entries)
    said = told(check_evidence(evidence_of_files(files), anchors))
    return {"name": name, "given": given, "changes": changes, **beside(entries), **said}


def with_register(given: TrustAnchors, entries: Sequence[bytes]) -> TrustAnchors:
    """Give the whole register as well, if there is one."""
    return given if not entries else update(given, register=WholeRegister(entries=tuple(entries)))


def beside(entries: Sequence[bytes]) -> dict[str, str]:
    """`register.tlog`, if it lies beside the evidence."""
    return {"register": b64u(encode_register(entries))} if entries else {}


def change_of(old: bytes, new: bytes) -> dict[str, Any]:
    """Say what is new: so many bytes of the old, then `bytes`, then so many of the old's end."""
    most = min(len(old), len(new))
    first = next((at for at in range(most) if old[at] != new[at]), most)
    last = next((at for at in range(most - first) if old[-1 - at] != new[-1 - at]), most - first)
    return {"first": first, "bytes": b64u(new[first : len(new) - last]), "last": last}


def of_its_own(name: str, evidence: Evidence, *, entries: Sequence[bytes] = ()) -> dict[str, Any]:
    """Say what is found of other evidence, which brings what is given along."""
    opened = evidence.listed()
    given = with_register(evidence.given, entries)
    said = told(check_evidence(evidence_of_files(opened), given))
    own = {"files": encoded(opened), "given": given_of(evidence)}
    return {"name": name, "own": own, "given": ALL, "changes": {}, **beside(entries), **said}


def told(report: Report) -> dict[str, Any]:
    """What both sides must say alike."""
    checks = [[check.kind.value, check.result.value.lower()] for check in report.checks]
    return {"code": report.exit_code.value, "checks": checks, "example": report.example}


def given_by(evidence: Evidence, names: tuple[str, ...]) -> TrustAnchors:
    """What is at hand."""
    every = evidence.given
    return TrustAnchors(
        agency=every.agency if "agency" in names else None,
        policy=every.policy if "policy" in names else None,
        fleet_ca=every.fleet_ca if "fleet_ca" in names else None,
    )


def given_of(evidence: Evidence) -> dict[str, Any]:
    """What the reader brings along, as files."""
    town = evidence.town
    return {
        "key": json.loads(evidence.key.encode()),
        "agreement": json.loads(town.sign_agreement(town.agreement).signed.encode()),
        "policy": town.policy_text.decode(),
        "fleet_ca": evidence.doorbell.authority.pem,
    }


def encoded(files: Files) -> dict[str, str]:
    """Files in base64url."""
    return {name: b64u(data) for name, data in sorted(files.items())}


def write(name: str, vectors: object) -> None:
    """Write one file."""
    text = json.dumps(vectors, indent=1)
    (HERE / f"{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
