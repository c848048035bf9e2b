"""Wiring of live view: camera, clips and sound for viewers.

While somebody watches, a press doesn't play the default quick reply.
"""

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.household import Household
from firmware.app.site import Site
from firmware.capture.board import board
from firmware.live.asked_channel import AskedService
from firmware.live.live_view import LiveView
from firmware.live.quality import live_sources
from firmware.live.sdp_answer import AnswerSigner
from firmware.live.session_parts import LiveLimits
from firmware.live.sessions import LiveSessions, RealPeers
from firmware.live.voice import LiveSound
from firmware.sound.sound_system import SoundWiring
from firmware.sound.unanswered import Unanswered


class LiveWiring:
    """Live view of one doorbell, and its quick replies to visitors."""

    def __init__(
        self,
        site: Site,
        *,
        filming: CameraWiring,
        recording: ClipWiring,
        sounding: SoundWiring,
        household: Household,
        asked: AskedService,
    ) -> None:
        config, clock = site.config, site.clock
        self._sound = LiveSound(
            opus=sounding.opus,
            floor=sounding.floor,
            replies=sounding.replies,
            microphone=sounding.microphone,
            reply_after_s=config.sound.reply_after_s,
        )
        self.sessions = LiveSessions(
            sources=live_sources(
                filming.hub.late,
                filming.keeper,
                filming.small_stream,
                rotation=filming.rotation,
            ),
            shelf=recording.shelf,
            checks=household.checks,
            signer=AnswerSigner(site.keys.signer, device=site.keys.device, clock=clock),
            clock=clock,
            limits=LiveLimits(
                max_viewers=board().max_viewers,
                private_ice_hosts=config.live.private_ice_hosts,
            ),
            peers=RealPeers(clock, site.source),
            sound=self._sound,
            asked=asked,
            rings=household.rings,
        )
        self.viewing = LiveView(
            self.sessions,
            owners=household,
            checks=household.checks,
            notes=household.notes,
            clock=clock,
        )
        household.admitting.serve_with(self.sessions)
        filming.hidden.add(self.sessions.hide)
        sounding.changes.add(self.sessions.send_states)
        self.unanswered = Unanswered(
            sounding.replies, self.sessions, after_s=config.sound.reply_after_s
        )
        self.sessions.watch_began.add(self.unanswered.on_watching)
        self.sessions.watch_began.add(lambda watcher: household.pushes.answered(watcher.who))
        sounding.replies.played.add(self.unanswered.on_answered)
        sounding.floor.talk_began.add(self.unanswered.on_answered)

    def use_reply_after(self, after_s: float) -> None:
        """Play the default quick reply so long after a press, from the next one on; 0: never."""
        self._sound.reply_after_s = after_s
        self.unanswered.set_after(after_s)

    async def aclose(self) -> None:
        """End all sessions, and say nothing more to a visitor."""
        await self.viewing.aclose()
        self.unanswered.on_answered()
