"""The button Watch: opens live view for ten minutes."""

from homeassistant.components.button import ButtonEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import DoorwardEntry
from .const import RIGHT_LIVE
from .door import Door
from .entity import DoorwardEntity

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorwardEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the button."""
    async_add_entities([WatchButton(entry.runtime_data)])


class WatchButton(DoorwardEntity, ButtonEntity):
    """Opens live view; the light at the door goes on once somebody looks."""

    def __init__(self, door: Door) -> None:
        super().__init__(door, "watch")

    @property
    def available(self) -> bool:
        """Whether live view can be opened."""
        return super().available and RIGHT_LIVE in self.door.state.what

    async def async_press(self) -> None:
        """Open live view."""
        await self.door.watch()
