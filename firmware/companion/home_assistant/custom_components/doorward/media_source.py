"""Recordings as a media source, if the doorbell's owner gave them."""

from homeassistant.components.media_player import MediaClass, MediaType
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from . import DoorwardEntry
from .client import Recording
from .const import DOMAIN, RIGHT_HISTORY
from .errors import DoorwardError
from .recording_view import URL


async def async_get_media_source(hass: HomeAssistant) -> "DoorwardRecordings":
    """Return the source."""
    return DoorwardRecordings(hass)


class DoorwardRecordings(MediaSource):
    """The recordings of all doorbells, each fetched when it is played."""

    name = "Doorward"

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__(DOMAIN)
        self._hass = hass

    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        """Return the address of one recording."""
        entry_id, _, rest = item.identifier.partition("/")
        clip_id, _, digest = rest.partition("/")
        if not digest or entry_id not in {entry.entry_id for entry in self._with_recordings()}:
            raise Unresolvable("There is no such recording.")
        url = URL.format(entry_id=entry_id, clip_id=clip_id, digest=digest)
        return PlayMedia(url, "video/mp4")

    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        """Return the doorbells, or one's recordings."""
        entries = self._with_recordings()
        if not item.identifier:
            doors = [_folder(entry.entry_id, entry.title) for entry in entries]
            return _folder(None, "Doorward", doors)
        for entry in entries:
            if entry.entry_id == item.identifier:
                try:
                    listed = await entry.runtime_data.client.recordings()
                except DoorwardError as error:
                    raise Unresolvable(str(error)) from error
                children = [_leaf(entry.entry_id, recording) for recording in listed]
                return _folder(entry.entry_id, entry.title, children)
        raise Unresolvable("This doorbell gives no recordings to this Home Assistant.")

    def _with_recordings(self) -> list[DoorwardEntry]:
        entries: list[DoorwardEntry] = self._hass.config_entries.async_loaded_entries(DOMAIN)
        return [one for one in entries if RIGHT_HISTORY in one.runtime_data.state.what]


def _folder(
    identifier: str | None, title: str, children: list[BrowseMediaSource] | None = None
) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=identifier,
        media_class=MediaClass.DIRECTORY,
        media_content_type=MediaType.VIDEO,
        title=title,
        can_play=False,
        can_expand=True,
        children=children,
        children_media_class=MediaClass.VIDEO,
    )


def _leaf(entry_id: str, recording: Recording) -> BrowseMediaSource:
    started_ms = recording.started_ms
    when = "–"
    if started_ms is not None:
        local = dt_util.as_local(dt_util.utc_from_timestamp(started_ms / 1000))
        when = f"{local:%Y-%m-%d %H:%M:%S}"
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=f"{entry_id}/{recording.clip_id}/{recording.digest}",
        media_class=MediaClass.VIDEO,
        media_content_type=MediaType.VIDEO,
        title=f"{when} · {round(recording.duration_ms / 1000)} s",
        can_play=True,
        can_expand=False,
    )
