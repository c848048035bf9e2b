"""A relay that answers an owner's offer itself, with a picture and a certificate of its own."""

from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.live.ice_edge import tune_ice
from firmware.protocol.commands import Answer, CommandBody, Offer, ReplyBody
from firmware.protocol.encoding import b64u, decode_canonical
from firmware.protocol.live import (
    MAX_SIGNED_BYTES,
    LiveAnswer,
    LiveOffer,
    SignedLive,
    fingerprints_of,
)


class ManInTheMiddle:
    """Signs with a key of its own, for want of the doorbell's; all else is as it should be."""

    def __init__(self) -> None:
        tune_ice()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._peers: list[RTCPeerConnection] = []

    async def answer(self, command: CommandBody, reply: ReplyBody) -> ReplyBody:
        """Return an answer in the doorbell's place, and connect to whoever takes it."""
        if not isinstance(command, Offer) or not isinstance(reply, Answer):
            return reply
        text = command.signed.text.encode()
        offer = decode_canonical(LiveOffer, text, max_bytes=MAX_SIGNED_BYTES)
        sdp = await self._answer_sdp(offer.sdp)
        honest = decode_canonical(
            LiveAnswer, reply.signed.text.encode(), max_bytes=MAX_SIGNED_BYTES
        )
        forged = LiveAnswer(
            device=honest.device,
            session_id=honest.session_id,
            nonce=honest.nonce,
            offer_digest=honest.offer_digest,
            offer_fingerprints=honest.offer_fingerprints,
            answer_fingerprints=fingerprints_of(sdp),
            expires_ms=honest.expires_ms,
            lasts_s=honest.lasts_s,
            sdp=sdp,
        ).encode()
        signature = self._key.sign(LiveAnswer.tag + forged, ec.ECDSA(hashes.SHA256()))
        signed = SignedLive(text=forged.decode(), signature=b64u(signature))
        return Answer(session_id=reply.session_id, signed=signed)

    async def _answer_sdp(self, offer_sdp: str) -> str:
        peer = RTCPeerConnection()
        self._peers.append(peer)
        video = peer.addTransceiver(VideoStreamTrack(), direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([one for one in codecs if one.mimeType == "video/H264"])
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer_sdp, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    @property
    def has_viewer(self) -> bool:
        """Whether anybody took one of its answers."""
        return any(peer.connectionState == "connected" for peer in self._peers)

    async def close(self) -> None:
        """End all."""
        for peer in self._peers:
            await peer.close()
