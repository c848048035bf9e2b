"""The signed list of base images: what each is called, where it is, its sizes and digests."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Digest, Document, Line, WallTimeMs
from provisioning.errors import ReleaseRefused
from provisioning.release.signed_document import Signers, open_document

PURPOSE = "images"
PIECE = 4 * 1024 * 1024
Size = Annotated[int, msgspec.Meta(gt=0, le=64 * 1024**3)]


class ListedImage(Document, frozen=True, kw_only=True):
    """One base image: packed as it is downloaded, and unpacked as it is on a card."""

    name: Line
    url: Line
    packed_size: Size
    packed_sha256: Digest
    size: Size
    sha256: Digest


class ImageList(Document, frozen=True, kw_only=True):
    """All base images that a doorbell can be made of."""

    v: Literal[1] = 1
    made_ms: WallTimeMs
    images: Annotated[tuple[ListedImage, ...], msgspec.Meta(min_length=1, max_length=64)]


def listed_image(data: bytes, signers: Signers, file: Path) -> ListedImage:
    """Return the list's entry of a downloaded file, by its bytes; raise ReleaseRefused.

    The whole file is read, before any disk is opened.
    """
    listed = open_document(ImageList, data, PURPOSE, signers)
    size = file.stat().st_size
    near = [image for image in listed.images if image.packed_size == size]
    if near:
        digest = _digest_of(file)
        for image in near:
            if image.packed_sha256 == digest:
                return image
    raise ReleaseRefused(
        f"{file.name} is none of the {len(listed.images)} images in the signed list; download it "
        "anew"
    )


def _digest_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
