"""Check of a clip's statement on C2PA provenance against its file.

The C2PA claim's own signature is for a C2PA tool of the reader's choice, and that is said: a second
verifier's word is worth more than ours. Here what would deceive is found: a claim that is there and
isn't named, or named and not there.
"""

from firmware.protocol.encoding import WireError
from firmware.protocol.media.boxes import file_boxes
from firmware.protocol.media.byte_source import ByteSource
from relay.verify.document_reader import Files, clip_of, released_of, trimmed_part
from relay.verify.recordings import TRIMMED

C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The user type of C2PA's box (C2PA 2.x, embedding in BMFF)."""


def claims_in(clip: ByteSource) -> list[bytes]:
    """Return the user types of the clip's boxes for extensions, of which C2PA's is one."""
    return [
        clip.read(box.begin, min(len(C2PA_BOX), box.size_bytes))
        for box in file_boxes(clip)
        if box.kind == b"uuid"
    ]


def check_provenance(files: Files, number: int) -> str:
    """Check that the C2PA statement agrees with the file; C2PA tools verify the claim itself."""
    claims = claims_in(clip_of(files, number))
    if any(claim != C2PA_BOX for claim in claims) or len(claims) > 1:
        raise WireError("the clip carries something that isn't C2PA's claim")
    is_trimmed = trimmed_part(files, number) is not None
    said = TRIMMED if is_trimmed else released_of(files, number).provenance
    if (said == "c2pa") != bool(claims):
        raise WireError("a C2PA claim is said to be there and isn't, or the other way round")
    return "a claim, for a C2PA tool and the fleet's CA to check" if claims else said
