"""What is sealed for an agency is held against the owner's grant once more, byte by byte."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.clips.mp4 import plain_mp4
from firmware.evidence.provenance import Claim, Provenance
from firmware.evidence.seal import ClipMismatchError, ReleasedClip, granted_part, seal_release
from firmware.protocol.contents import SignedContents, check_contents
from firmware.protocol.custody import ReleaseProof
from firmware.protocol.encoding import b64u, decode, new_id, sha256_hex
from firmware.protocol.footage import SignedManifest
from firmware.protocol.grants import ClipRange, GrantTerms, Recipient
from firmware.protocol.released_part import ReleasedPart
from firmware.protocol.releases import is_of_grant
from tests.fakes.credentials import Fleet, Identity
from tests.fakes.film_parts import STARTED_MS, Film, from_gop, to_gop
from tests.fakes.footage import HEIGHT, WIDTH
from tests.fakes.media import opened_package
from tests.fakes.releases import opening_of

FILM = Film()
SIGNED = SignedManifest(manifest=FILM.manifest.encode().decode(), signature="AA")
DEVICE, GRANT_DIGEST = "abcdefghijklmnop2345", "ef" * 32
IDENTITY = Identity()
PAPER = SimpleNamespace(encode=lambda: b"{}")
"""What sealing packs and doesn't look at."""


@dataclass
class Given:
    """A grant of parts of films, as far as sealing looks at it."""

    key: X25519PrivateKey
    terms: GrantTerms

    @property
    def release(self) -> Any:
        grant = SimpleNamespace(
            terms=self.terms, digest=GRANT_DIGEST, signed=PAPER, signed_request=PAPER
        )
        opening = opening_of(device=DEVICE, grant_digest=GRANT_DIGEST)
        return SimpleNamespace(grant=grant, logged=SimpleNamespace(opening=opening, proof=b"-"))

    def clip(self, mp4: bytes | None = None, **changes: object) -> ReleasedClip:
        part = granted_part(
            SIGNED, self.terms.clips[0], has_audio=self.terms.has_audio, corrected_ms=0
        )
        return ReleasedClip(
            mp4=FILM.mp4(part) if mp4 is None else mp4,
            part=msgspec.structs.replace(part, **changes),
            manifest=SIGNED,
        )

    def seal(self, *clips: ReleasedClip) -> dict[str, bytes]:
        """Seal as the doorbell does, and open as the agency does."""
        extract: Any = PAPER
        sealed = seal_release(
            self.release,
            clips,
            package_id=new_id(),
            device=DEVICE,
            certificate_pem=b"-",
            extract=extract,
            signer=IDENTITY,
        )
        public = self.key.public_key().public_bytes_raw()
        return opened_package(b"".join(sealed), self.key.private_bytes_raw(), public)


def given(from_ms: int, to_ms: int, *, has_audio: bool = True) -> Given:
    key = X25519PrivateKey.generate()
    recipient = Recipient(
        agency="lakeland", sealing_keys=[b64u(key.public_key().public_bytes_raw())]
    )
    range_ = ClipRange(
        clip_id=FILM.manifest.clip_id,
        manifest_digest=sha256_hex(SIGNED.manifest.encode()),
        from_ms=from_ms,
        to_ms=to_ms,
    )
    terms = GrantTerms(
        request_digest="aa" * 32, clips=[range_], has_audio=has_audio, recipient=recipient
    )
    return Given(key, terms)


@pytest.fixture
def part() -> Given:
    return given(from_gop(FILM, 2), to_gop(FILM, 6))


def test_a_package_says_beside_each_clip_which_part_it_is(part: Given) -> None:
    files = part.seal(part.clip())
    said = decode(ReleasedPart, files["part-1.json"])
    assert (said.clip_id, said.first_gop, said.gop_count) == (FILM.manifest.clip_id, 2, 4)
    assert said.span_count > 0
    FILM.check(said, files["clip-1.mp4"])


def test_a_package_says_what_stands_in_the_log_and_lists_all_its_files_signed(part: Given) -> None:
    files = part.seal(part.clip())
    proof = decode(ReleaseProof, files["release.json"])
    assert is_of_grant(proof.record, device=DEVICE, grant_digest=GRANT_DIGEST, salt_g=proof.salt_g)
    listed = check_contents(decode(SignedContents, files.pop("contents.json")), IDENTITY.spki)
    named = {file.name: file.sha256 for file in listed.files}
    assert named == {name: sha256_hex(data) for name, data in files.items()}


def test_a_whole_clip_says_so_too() -> None:
    whole = given(STARTED_MS, FILM.ended_ms)
    said = decode(ReleasedPart, whole.seal(whole.clip())["part-1.json"])
    assert (said.first_gop, said.gop_count) == (0, len(FILM.manifest.gops))


def test_a_part_with_content_credentials_is_sealed_as_it_was_signed(part: Given) -> None:
    fleet, identity = Fleet(), Identity()
    clip = part.clip()
    claim = Claim(
        part=clip.part, manifest_digest="aa" * 32, grant_digest="ef" * 32, is_trimmed=True
    )
    bell = Provenance(signer=identity, certificate_pem=fleet.certify(identity))
    credited = bell.credit(clip.mp4, claim)
    files = part.seal(part.clip(credited.mp4, provenance=credited.provenance))
    assert fleet.read(files["clip-1.mp4"]).state == "Trusted"
    assert decode(ReleasedPart, files["part-1.json"]).provenance == "c2pa"


def test_no_picture_outside_the_granted_range_is_in_the_package(part: Given) -> None:
    files = part.seal(part.clip())
    inside = {unit.pts_90k for unit in FILM.pictures_of(part.clip().part)}
    for unit in FILM.units:
        canary = next(nal for nal in unit.nal_units if nal[0] & 0x1F in (1, 5))
        assert any(canary in data for data in files.values()) == (unit.pts_90k in inside)


@pytest.mark.parametrize(("first", "last"), [(1, 6), (2, 7), (0, 8)])
def test_more_than_was_granted_is_not_sealed(part: Given, first: int, last: int) -> None:
    """Seen to be sealed with the comparison with `due` taken out of seal.py."""
    to_ms = FILM.ended_ms if last == 8 else to_gop(FILM, last)
    more = given(from_gop(FILM, first), to_ms).clip()
    with pytest.raises(ClipMismatchError, match="another part"):
        part.seal(more)


def test_more_than_was_granted_under_the_name_of_the_right_part_is_not_sealed(
    part: Given,
) -> None:
    """Seen to be sealed with `check_part` taken out of seal.py."""
    more = given(from_gop(FILM, 1), to_gop(FILM, 6)).clip()
    with pytest.raises(ClipMismatchError, match="isn't what its manifest says"):
        part.seal(part.clip(more.mp4))


def test_pictures_that_were_swapped_on_the_way_are_not_sealed(part: Given) -> None:
    """What a program that writes credentials could do. Seen to be sealed without `check_part`."""
    units = FILM.pictures_of(part.clip().part)
    units[5] = replace(units[5], data=units[6].data)
    swapped = plain_mp4(units, FILM.sound_of(part.clip().part), width=WIDTH, height=HEIGHT)
    with pytest.raises(ClipMismatchError, match="the pictures differ"):
        part.seal(part.clip(swapped))


def test_sound_without_a_grant_is_not_sealed() -> None:
    """Seen to be sealed with both checks of the sound taken out of seal.py."""
    silent = given(from_gop(FILM, 2), to_gop(FILM, 6), has_audio=False)
    loud = given(from_gop(FILM, 2), to_gop(FILM, 6))
    with pytest.raises(ClipMismatchError, match="sound, which the grant doesn't give"):
        silent.seal(silent.clip(loud.clip().mp4))


def test_what_is_no_mp4_is_not_sealed(part: Given) -> None:
    for junk in (b"", b"junk", part.clip().mp4[:2000]):
        with pytest.raises(ClipMismatchError):
            part.seal(part.clip(junk))


def test_another_clip_or_none_is_not_sealed(part: Given) -> None:
    for clips in ((), (part.clip(), part.clip()), (part.clip(clip_id="d" * 26),)):
        with pytest.raises(ClipMismatchError, match="aren't the ones of the grant"):
            part.seal(*clips)


def test_a_range_between_two_key_frames_is_refused_with_words() -> None:
    narrow = given(STARTED_MS + 2_100, STARTED_MS + 2_900)
    with pytest.raises(ClipMismatchError, match="choose a longer part"):
        narrow.clip()
