"""Evidence that anybody changed is found out: sealed, opened, and opened by who holds the key.

1,000 random bits and 20 kinds of forgery, each on the sealed package and on the opened files. The
forger of the sealed package has the agency's keys, and seals anew what they changed: only what
doorbell, owner, officers and logs signed is out of their reach.
"""

import io
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import pytest
from msgspec.structs import replace as changed

from firmware.clips.fragment import ClipUnit
from firmware.clips.mp4 import plain_mp4
from firmware.protocol.contents import CONTENTS_NAME
from firmware.protocol.encoding import b64u, decode, unb64u
from firmware.protocol.footage import SPAN_UNITS
from firmware.protocol.grants import SignedStatement
from firmware.protocol.media.tags import tags_of_manifest
from firmware.protocol.packages import read_header
from firmware.protocol.released_part import ReleasedPart
from relay.verify.checks import Exit
from relay.verify.document_reader import manifest_unverified
from relay.verify.errors import AlteredPackage, UnreadablePackage
from relay.verify.recordings import TRIMMED
from relay.verify.report import check_evidence
from tests.fakes.ffmpeg_reader import read_units
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.media import evidence_of_files, evidence_of_package, in_memory
from tests.fakes.media import written_mp4 as trimmed_mp4
from tests.relay.evidence_files import Doorbell, Evidence, Film, make_evidence
from tests.vectors.make_sound import units_of_sound

FLIPS = 1000
SEED = int(os.environ.get("DOORWARD_SEED", "20"))
FOUND = {code for code in Exit if code >= Exit.UNREADABLE}
Files = dict[str, bytes]


def film(*, later_s: float = 0) -> Film:
    """Film for four seconds; the camera has filmed something else before, if told so."""
    filmed, camera = Film(4, with_sound=False), TinyCamera()
    camera.film(later_s)
    filmed.units, filmed.sound = clip_units(camera.film(4)), units_of_sound(4)
    return filmed


@dataclass(frozen=True)
class Crime:
    """The evidence, and what a forger may have at hand beside it."""

    evidence: Evidence
    neighbour: Evidence
    """Of another doorbell, another request of the same agency."""

    @property
    def files(self) -> Files:
        return self.evidence.listed()

    def opened(self, files: Files) -> Exit:
        """What is said of opened files."""
        try:
            evidence = evidence_of_files(files)
        except UnreadablePackage:
            return Exit.UNREADABLE
        return check_evidence(evidence, self.evidence.given).exit_code

    def package(self, sealed: bytes) -> Exit:
        """What is said of a sealed package."""
        try:
            evidence = evidence_of_package(sealed, self.evidence.key)
        except UnreadablePackage:
            return Exit.UNREADABLE
        except AlteredPackage:
            return Exit.PACKAGE
        return check_evidence(evidence, self.evidence.given).exit_code


@pytest.fixture(scope="module")
def crime() -> Crime:
    evidence = make_evidence(film=film(), has_audio=True)
    return Crime(evidence, make_evidence(town=evidence.town, film=film(later_s=2), has_audio=True))


def test_unchanged_evidence_holds(crime: Crime) -> None:
    assert crime.opened(crime.files) is Exit.HOLDS
    assert crime.package(crime.evidence.sealed()) is Exit.HOLDS


def test_the_forgers_tools_alone_change_nothing(crime: Crime) -> None:
    files = filmed(crime, own(crime))
    assert crime.opened(crime.evidence.listed(**{"clip-1.mp4": files["clip-1.mp4"]})) is Exit.HOLDS


def test_any_flipped_bit_of_a_sealed_package_is_found(crime: Crime) -> None:
    dice, sealed = random.Random(SEED), crime.evidence.sealed()
    for _ in range(FLIPS):
        altered = bytearray(sealed)
        altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
        assert crime.package(bytes(altered)) in FOUND, f"seed {SEED}"


@pytest.mark.slow
def test_any_flipped_bit_of_the_opened_files_is_found(crime: Crime) -> None:
    dice, files = random.Random(SEED), crime.files
    names = itertools.cycle(sorted(files))  # each file as often, not only the large ones
    for name in itertools.islice(names, FLIPS):
        altered = bytearray(files[name])
        at, bit = dice.randrange(len(altered)), dice.randrange(8)
        altered[at] ^= 1 << bit
        code = crime.opened(files | {name: bytes(altered)})
        assert code in FOUND, f"{name}, byte {at}, bit {bit}, seed {SEED}"


def test_each_file_is_bound_without_the_list_of_files_where_it_matters(crime: Crime) -> None:
    """Whoever holds the doorbell's key for the list alone still can't change what it lists."""
    dice, evidence = random.Random(SEED), crime.evidence
    files = {name: data for name, data in crime.files.items() if name != CONTENTS_NAME}
    mdat = files["clip-1.mp4"].index(b"mdat") + 4
    for name in ("clip-1.mp4", "manifest-1.json", "request.json"):
        for _ in range(40):
            altered = bytearray(files[name])
            begin = mdat if name.endswith("mp4") else 0
            altered[dice.randrange(begin, len(altered))] ^= 1 << dice.randrange(8)
            assert crime.opened(evidence.listed(**{name: bytes(altered)})) in FOUND


# --- 20 forgeries of what is inside ---


def pictures(mp4: bytes) -> list[ClipUnit]:
    return list(read_units(io.BytesIO(mp4)))


def filmed(crime: Crime, units: list[ClipUnit], *, with_sound: bool = True) -> Files:
    """The evidence with another film in the clip, times as given."""
    sound = units_of_sound(4) if with_sound else []
    mp4 = plain_mp4(units, sound, width=WIDTH, height=HEIGHT)
    return crime.files | {"clip-1.mp4": mp4}


def gops(units: list[ClipUnit]) -> list[list[ClipUnit]]:
    parts: list[list[ClipUnit]] = []
    for unit in units:
        if unit.is_key:
            parts.append([])
        parts[-1].append(unit)
    return parts


def in_line(parts: list[list[ClipUnit]]) -> list[ClipUnit]:
    """Put pictures one behind the other again, 0.1 s each."""
    units = [unit for part in parts for unit in part]
    return [replace(unit, pts_90k=9000 * place) for place, unit in enumerate(units)]


def own(crime: Crime) -> list[ClipUnit]:
    return pictures(crime.files["clip-1.mp4"])


def reencoded(crime: Crime) -> Files:
    source, output = io.BytesIO(crime.files["clip-1.mp4"]), io.BytesIO()
    with av.open(source) as reader, av.open(output, "w", "mp4") as writer:
        stream = writer.add_stream("h264", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, 90_000)
        for frame in reader.decode(video=0):
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return crime.files | {"clip-1.mp4": output.getvalue()}


def spliced(crime: Crime) -> Files:
    mine, theirs = gops(own(crime)), gops(pictures(crime.neighbour.files["clip-1.mp4"]))
    return filmed(crime, [*mine[0], *mine[1], *theirs[2], *mine[3]])


def with_an_own_doorbell(crime: Crime) -> Files:
    """Everything signed anew by a doorbell of the forger's, but for the owner's grant."""
    return crime.files | {"device.pem": Doorbell().pem}


def regranted(crime: Crime) -> Files:
    signed = decode(SignedStatement, crime.files["grant.json"])
    text = signed.statement.replace('"has_audio":true', '"has_audio":false')
    return crime.files | {"grant.json": changed(signed, statement=text).encode()}


def called_shorter(crime: Crime) -> Files:
    part = decode(ReleasedPart, crime.files["part-1.json"])
    return crime.files | {"part-1.json": changed(part, gop_count=2).encode()}


def called_trimmed(crime: Crime) -> Files:
    part = decode(ReleasedPart, crime.files["part-1.json"])
    return crime.files | {"trim-1.json": changed(part, provenance="none: x").encode()}


def theirs(*names: str) -> Callable[[Crime], Files]:
    return lambda crime: crime.files | {name: crime.neighbour.listed()[name] for name in names}


def without(name: str) -> Callable[[Crime], Files]:
    return lambda crime: {key: data for key, data in crime.files.items() if key != name}


def swapped(one: str, other: str) -> Callable[[Crime], Files]:
    return lambda crime: crime.files | {one: crime.files[other], other: crime.files[one]}


def with_bytes(crime: Crime) -> Files:
    return crime.files | {"clip-1.mp4": crime.files["clip-1.mp4"] + b"\0\0\0\x08free"}


def cut_off(crime: Crime) -> Files:
    return crime.files | {"clip-1.mp4": crime.files["clip-1.mp4"][:-1000]}


FORGERIES: dict[str, Callable[[Crime], Files]] = {
    "two files swapped": swapped("grant.json", "request.json"),
    "a file taken out": without("capture-1.json"),
    "the recording taken out": without("clip-1.mp4"),
    "the list of files taken out": without(CONTENTS_NAME),
    "a file added": lambda c: c.files | {"clip-2.mp4": c.files["clip-1.mp4"]},
    "cut off": cut_off,
    "appended": with_bytes,
    "GOPs in another order": lambda c: filmed(c, in_line(list(reversed(gops(own(c)))))),
    "a GOP taken out": lambda c: filmed(c, in_line(gops(own(c))[:1] + gops(own(c))[2:])),
    "the end cut": lambda c: filmed(c, in_line(gops(own(c))[:3])),
    "a picture taken out": lambda c: filmed(c, own(c)[:5] + own(c)[6:]),
    "a picture twice": lambda c: filmed(
        c, [*own(c)[:6], replace(own(c)[5], pts_90k=own(c)[5].pts_90k + 99), *own(c)[6:]]
    ),
    "retimed": lambda c: filmed(c, [replace(u, pts_90k=2 * u.pts_90k) for u in own(c)]),
    "one picture later": lambda c: filmed(
        c, [replace(u, pts_90k=u.pts_90k + (n == 7) * 90) for n, u in enumerate(own(c))]
    ),
    "re-encoded": reencoded,
    "GOPs of another recording": spliced,
    "another recording": theirs("clip-1.mp4"),
    "another recording and its manifest": theirs("clip-1.mp4", "manifest-1.json"),
    "another doorbell's certificate": theirs("device.pem"),
    "a doorbell of the forger's": with_an_own_doorbell,
    "another grant": theirs("grant.json"),
    "another request": theirs("request.json"),
    "another request and its grant": theirs("request.json", "grant.json"),
    "a grant that says more": regranted,
    "another release": theirs("release.json"),
    "another capture": theirs("capture-1.json"),
    "another part of the register": theirs("register.json"),
    "another list of files": theirs(CONTENTS_NAME),
    "a part that is called shorter": called_shorter,
    "a recording that is called trimmed": called_trimmed,
    "the sound taken out": lambda c: filmed(c, own(c), with_sound=False),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_set_of_opened_files_is_found(
    crime: Crime, forge: Callable[[Crime], Files]
) -> None:
    assert crime.opened(forge(crime)) in FOUND


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_that_the_agency_itself_sealed_anew_is_found(
    crime: Crime, forge: Callable[[Crime], Files]
) -> None:
    assert crime.package(crime.evidence.sealed(forge(crime))) in FOUND


def test_everything_of_another_package_under_this_ones_header_is_found(crime: Crime) -> None:
    assert crime.package(crime.evidence.sealed(crime.neighbour.listed())) in FOUND


def test_sound_that_the_owner_did_not_give_is_found() -> None:
    evidence = make_evidence(film=film(), has_audio=False)
    crime = Crime(evidence, evidence)
    files = filmed(crime, own(crime))
    assert crime.opened(evidence.listed(**{"clip-1.mp4": files["clip-1.mp4"]})) is Exit.SOUND


# --- trims: nobody signed one, and whoever has the opened files writes it ---


def trimmed(evidence: Evidence, **said: object) -> Files:
    """Cut the clip to the pictures and to the sound that its trim names."""
    files = evidence.listed()
    part = decode(ReleasedPart, files["part-1.json"])
    left = changed(part, **{"provenance": TRIMMED, **said})
    groups = gops(pictures(files["clip-1.mp4"]))[left.first_gop :][: left.gop_count]
    begin = groups[0][0].pts_90k
    spans = slice(left.first_span * SPAN_UNITS, (left.first_span + left.span_count) * SPAN_UNITS)
    mp4 = trimmed_mp4(
        [replace(unit, pts_90k=unit.pts_90k - begin) for group in groups for unit in group],
        [replace(unit, pts_90k=unit.pts_90k - begin) for unit in units_of_sound(4)[spans]],
        width=WIDTH,
        height=HEIGHT,
        tags=tags_of_manifest(manifest_unverified(in_memory(files), 1), left.first_gop),
    )
    return files | {"clip-1.mp4": mp4, "trim-1.json": left.encode()}


TRIMS: dict[str, dict[str, object]] = {
    "all pictures and the sound of a second": {"span_count": 1},
    "all pictures without their sound": {"span_count": 0},
    "one second with the sound of others": {"gop_count": 1, "first_span": 2, "span_count": 2},
    "words of the forger's": {"provenance": "none: verified by the fleet's CA"},
}


def test_an_honest_trim_holds_by_the_same_tools(crime: Crime) -> None:
    for said in ({}, {"gop_count": 2, "span_count": 1}):
        assert crime.opened(trimmed(crime.evidence, **said)) is Exit.HOLDS


@pytest.mark.parametrize("said", TRIMS.values(), ids=TRIMS)
def test_a_trim_chooses_nothing_but_pictures(crime: Crime, said: dict[str, object]) -> None:
    """Seen to hold while a trim's sound only had to lie inside what was released."""
    assert crime.opened(trimmed(crime.evidence, **said)) is Exit.GRANT


def test_the_words_of_a_trim_are_told_nowhere(crime: Crime) -> None:
    """Seen to be told, as what holds, while `check_provenance` said what a trim says."""
    files = trimmed(crime.evidence, **TRIMS["words of the forger's"])
    report = check_evidence(evidence_of_files(files), crime.evidence.given)
    assert not any("verified by" in check.detail for check in report.checks)


@pytest.mark.parametrize("days", [-365, 10])
def test_a_trim_dates_nothing(days: int) -> None:
    """Seen to hold, with the date in the report, without the comparison of `corrected_ms`."""
    doorbell, recorded = Doorbell(), film()
    manifest = recorded.manifest(doorbell.device, is_clock_trusted=False)
    evidence = make_evidence(doorbell=doorbell, film=recorded, manifest=manifest)
    crime = Crime(evidence, evidence)
    assert crime.opened(trimmed(evidence)) is Exit.INCOMPLETE  # undated: no age is shown
    assert crime.opened(trimmed(evidence, corrected_ms=days * 86_400_000)) is Exit.GRANT


# --- forgeries of the sealed bytes ---


def header_of(sealed: bytes) -> tuple[bytes, bytes]:
    begin = read_header(sealed)[1]
    return sealed[:begin], sealed[begin:]


def with_header(sealed: bytes, **changes: object) -> bytes:
    header, begin = read_header(sealed)
    text = changed(header, **changes).encode()
    return sealed[:8] + len(text).to_bytes(4, "big") + text + sealed[begin:]


CHUNK = 64 * 1024 + 16

SEALED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "cut": lambda mine, _: mine[:-1],
    "cut at a chunk": lambda mine, _: header_of(mine)[0] + header_of(mine)[1][:CHUNK],
    "appended": lambda mine, _: mine + b"\0",
    "a chunk twice": lambda mine, _: mine + header_of(mine)[1][:CHUNK],
    "the body of another": lambda mine, theirs: header_of(mine)[0] + header_of(theirs)[1],
    "the header of another": lambda mine, theirs: header_of(theirs)[0] + header_of(mine)[1],
    "another device": lambda mine, _: with_header(mine, device="a" * 20),
    "another agency": lambda mine, _: with_header(mine, agency="other"),
    "another grant": lambda mine, _: with_header(mine, grant_digest="0" * 64),
    "another package": lambda mine, _: with_header(mine, package_id="b" * 26),
    "nothing": lambda *_: b"",
    "only a header": lambda mine, _: header_of(mine)[0],
}


@pytest.mark.parametrize("forge", SEALED.values(), ids=SEALED)
def test_a_sealed_package_that_was_changed_is_found(
    crime: Crime, forge: Callable[[bytes, bytes], bytes]
) -> None:
    forged = forge(crime.evidence.sealed(), crime.neighbour.sealed())
    assert crime.package(forged) in FOUND


def test_a_wrapped_key_of_another_package_is_found(crime: Crime) -> None:
    mine, theirs = crime.evidence.sealed(), crime.neighbour.sealed()
    assert crime.package(with_header(mine, keys=read_header(theirs)[0].keys)) in FOUND
    one = read_header(mine)[0].keys[0]
    twisted = bytearray(unb64u(one.wrapped))
    twisted[0] ^= 1
    keys = [changed(one, wrapped=b64u(bytes(twisted)))]
    assert crime.package(with_header(mine, keys=keys)) in FOUND
