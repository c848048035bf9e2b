"""The camera: the last picture with its age, and live view after a ring or a touch.

Live view is WebRTC between the browser and the doorbell, encrypted between these two. This only
passes the offer to `doorward-view`, which signs it, and the answer that the doorbell signed.
"""

from typing import Any

from homeassistant.components.camera import (
    Camera,
    CameraEntityFeature,
    WebRTCAnswer,
    WebRTCError,
    WebRTCSendMessage,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util
from webrtc_models import RTCIceCandidateInit

from . import DoorwardEntry
from .const import RIGHT_LIVE, RIGHT_RECORD
from .door import Door
from .entity import DoorwardEntity
from .errors import DoorwardError, Refused

NOT_NOW = 409
PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorwardEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the doorbell's camera."""
    async_add_entities([DoorwardCamera(entry.runtime_data)])


class DoorwardCamera(DoorwardEntity, Camera):
    """The doorbell's camera."""

    _attr_name = None
    _attr_brand = "Doorward"
    _attr_supported_features = CameraEntityFeature.STREAM

    def __init__(self, door: Door) -> None:
        DoorwardEntity.__init__(self, door, "camera")
        Camera.__init__(self)

    @property
    def is_recording(self) -> bool:
        """Whether this Home Assistant has the right to record all the time."""
        return RIGHT_RECORD in self.door.state.what

    @property
    def is_streaming(self) -> bool:
        """Whether live view is open."""
        return self.door.state.live_why is not None

    @property
    def extra_state_attributes(self) -> dict[str, Any]:
        """When the picture was taken, and until when live view is open."""
        state = self.door.state
        return {
            "picture_taken": _time(state.picture_taken_ms),
            "live_because": state.live_why,
            "live_until": _time(state.live_until_ms),
        }

    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        """Return the picture of the last ring or motion; it isn't live."""
        try:
            return await self.door.picture()
        except DoorwardError:
            return None

    async def async_handle_async_webrtc_offer(
        self, offer_sdp: str, session_id: str, send_message: WebRTCSendMessage
    ) -> None:
        """Pass a browser's offer to the doorbell."""
        if RIGHT_LIVE not in self.door.state.what:
            text = "The doorbell's owner gave this Home Assistant no live view."
            send_message(WebRTCError("doorward_no_right", text))
            return
        try:
            answer = await self.door.open_session(session_id, offer_sdp)
        except Refused as error:
            code = "doorward_not_now" if error.status == NOT_NOW else "doorward_refused"
            text = "Press Watch first: the light at the door goes on while somebody looks."
            send_message(WebRTCError(code, text if error.status == NOT_NOW else str(error)))
        except DoorwardError as error:
            send_message(WebRTCError("doorward_unreachable", str(error)))
        else:
            send_message(WebRTCAnswer(answer))

    async def async_on_webrtc_candidate(
        self, session_id: str, candidate: RTCIceCandidateInit
    ) -> None:
        """Pass a browser's ICE candidate on."""
        session = self.door.session(session_id)
        if session is not None:
            session.add_candidate(candidate.candidate)

    @callback
    def close_webrtc_session(self, session_id: str) -> None:
        """End live view."""
        self.hass.async_create_task(self.door.close_session(session_id))


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else dt_util.utc_from_timestamp(at_ms / 1000).isoformat()
