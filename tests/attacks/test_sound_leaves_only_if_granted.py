"""A clip's sound leaves the doorbell for an agency only if the owner's grant says so."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.clips.record import ClipRecord
from firmware.consent.facts import ClipFact, Grant, Release
from firmware.consent.verifier import judge
from firmware.decisions.package_sealer import PackageSealer
from firmware.enrolment.keys import load_or_make_keys
from firmware.evidence.seal import ClipMismatchError, ReleasedClip, granted_part, seal_release
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageReady
from firmware.protocol.footage import ClipManifest, check_manifest
from firmware.protocol.packages import MAGIC
from firmware.protocol.register.extract import RegisterExtract
from tests.fakes.consent_world import DEVICE, MINUTE_MS, NOW_MS, ConsentWorld, make_world
from tests.fakes.heard import HandFeed, tone
from tests.fakes.media import opened_package
from tests.fakes.recorder import RecordingRig, Shelves, running


@dataclass
class Kept:
    """A doorbell's library with one clip that has sound, and an agency that asks for it."""

    folder: Path
    shelves: Shelves
    clip: ClipRecord
    world: ConsentWorld

    def released(self, *, has_audio: bool) -> Release:
        terms = self.world.terms(has_audio=has_audio)
        grant = judge(self.world.sign(self.world.statement(terms)), self.world.facts)
        assert isinstance(grant, Grant), grant
        given = self.world.released(grant)
        assert isinstance(given, Release), given
        return given

    def extract(self, _request_digest: str) -> RegisterExtract:
        return self.world.town.extract(self.world.signed_request)

    def capture_proof(self, _clip_id: str) -> None:
        return None

    def identity_proof(self, _begins_ms: Sequence[int]) -> None:
        return None

    async def package(self, *, has_audio: bool) -> dict[str, bytes]:
        """Seal as the doorbell does, and open as the agency does."""
        releasing = PackageSealer(
            keys=load_or_make_keys(self.folder / "keys"),
            certificate_pem=b"-",
            library=self.shelves.library,
            playback=self.shelves.playback,
            outgoing=Outgoing(self.folder / "outgoing"),
            promises=None,  # type: ignore[arg-type]
            record=self,
            uploads=None,  # type: ignore[arg-type]
        )
        answer = await releasing.seal(self.released(has_audio=has_audio))
        assert isinstance(answer, PackageReady), answer
        files = [
            path.read_bytes() for path in (self.folder / "outgoing").rglob("*") if path.is_file()
        ]
        (sealed,) = (data for data in files if data.startswith(MAGIC))
        private = self.world.town.sealing_private_keys[0]
        public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
        return opened_package(sealed, private, public)

    @property
    def manifest(self) -> ClipManifest:
        return check_manifest(self.clip.signed_manifest, self.shelves.signer.spki)


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    feed = HandFeed()
    rig = RecordingRig(tmp_path, feed=feed)
    rig.clock.set_wall_ms(NOW_MS - 60 * MINUTE_MS)
    async with running(rig):
        await asyncio.sleep(0.01)
        for step in range(70):
            if step == 40:
                rig.press()
            feed.put(tone(rig.now_90k, 0.1))
            await rig.film(0.1)
        clip = await rig.next_clip()
    fact = ClipFact(
        manifest_digest=clip.manifest_digest,
        started_ms=clip.started_ms,
        ended_ms=clip.ended_ms,
        has_sound=True,
    )
    world = replace(make_world().with_facts(clips={clip.clip_id: fact}), clip_id=clip.clip_id)
    assert world.facts.device == DEVICE
    return Kept(tmp_path, Shelves(tmp_path, signer=rig.signer), clip, world)


def kinds_in(mp4: bytes) -> list[str]:
    with av.open(io.BytesIO(mp4)) as container:
        return [stream.type for stream in container.streams]


async def test_a_grant_without_sound_releases_the_film_alone(kept: Kept) -> None:
    """Seen to fail with `with_sound=True` in releasing.py and the check taken out of seal.py."""
    files = await kept.package(has_audio=False)
    assert kinds_in(files["clip-1.mp4"]) == ["video"]
    assert kept.manifest.sound_track is not None


async def test_a_grant_with_sound_releases_both(kept: Kept) -> None:
    files = await kept.package(has_audio=True)
    assert kinds_in(files["clip-1.mp4"]) == ["video", "audio"]


def test_nothing_is_sealed_if_sound_comes_along_that_was_not_granted(kept: Kept) -> None:
    """Seen to fail with the check taken out of evidence/seal.py."""
    noisy = ReleasedClip(
        part=granted_part(
            kept.clip.signed_manifest,
            kept.released(has_audio=True).grant.terms.clips[0],
            has_audio=True,
            corrected_ms=0,
        ),
        mp4=kept.shelves.playback.plain_mp4(kept.clip),
        manifest=kept.clip.signed_manifest,
    )
    with pytest.raises(ClipMismatchError, match="sound, which the grant doesn't give"):
        seal_release(
            kept.released(has_audio=False),
            [noisy],
            package_id=new_id(),
            device=DEVICE,
            certificate_pem=b"-",
            extract=kept.extract(""),
            signer=kept.shelves.signer,
        )
