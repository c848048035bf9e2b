"""Sanity checks of an offered SDP.

Not a full parser: aiortc parses. This gate comes first, with limits.
"""

from firmware.protocol.encoding import WireError

MAX_SDP_BYTES = 64 * 1024
MAX_LINES = 2000


def check_offer(sdp: str) -> None:
    """Refuse an offer that is oversized, not an SDP, or can't take H.264 video.

    An offer of a data channel alone has no video: recordings need none (`has_video`).
    """
    if len(sdp.encode()) > MAX_SDP_BYTES:
        raise WireError(f"SDP larger than {MAX_SDP_BYTES} bytes")
    lines = sdp.splitlines()
    if not lines or lines[0] != "v=0" or len(lines) > MAX_LINES:
        raise WireError("not an SDP (RFC 8866)")
    media = {line[2:].partition(" ")[0] for line in lines if line.startswith("m=")}
    if media != {"application"} and "video" not in media:
        raise WireError("the offer has neither video nor a data channel alone")
    is_h264 = any(line.startswith("a=rtpmap:") and " H264/90000" in line for line in lines)
    if has_video(sdp) and not is_h264:
        raise WireError("the viewer can't take H.264")
    if not any(line.startswith("a=fingerprint:") for line in lines):
        raise WireError("the offer has no DTLS fingerprint")


def has_video(sdp: str) -> bool:
    """Tell whether an offer has a video section."""
    return any(line.startswith("m=video ") for line in sdp.splitlines())
