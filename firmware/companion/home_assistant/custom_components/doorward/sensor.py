"""The age of the picture: when it was taken."""

from datetime import datetime

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from . import DoorwardEntry
from .door import Door
from .entity import DoorwardEntity

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorwardEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensor."""
    async_add_entities([PictureTaken(entry.runtime_data)])


class PictureTaken(DoorwardEntity, SensorEntity):
    """When the last picture was taken."""

    _attr_device_class = SensorDeviceClass.TIMESTAMP

    def __init__(self, door: Door) -> None:
        super().__init__(door, "picture_taken")

    @property
    def native_value(self) -> datetime | None:
        """The time."""
        taken_ms = self.door.state.picture_taken_ms
        return None if taken_ms is None else dt_util.utc_from_timestamp(taken_ms / 1000)
