"""Rings and motion as events."""

from homeassistant.components.event import EventDeviceClass, EventEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import DoorwardEntry
from .client import DoorEvent
from .door import Door
from .entity import DoorwardEntity

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: DoorwardEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the doorbell's events."""
    door = entry.runtime_data
    async_add_entities(
        [
            DoorwardEvent(door, "ring", kind="pressed", device_class=EventDeviceClass.DOORBELL),
            DoorwardEvent(door, "motion", kind="motion", device_class=EventDeviceClass.MOTION),
        ]
    )


class DoorwardEvent(DoorwardEntity, EventEntity):
    """One kind of event at the door."""

    def __init__(self, door: Door, key: str, *, kind: str, device_class: EventDeviceClass) -> None:
        super().__init__(door, key)
        self._kind = kind
        self._type = key
        self._attr_device_class = device_class
        self._attr_event_types = [key]

    @callback
    def _take(self, event: DoorEvent | None) -> None:
        if event is not None and event.kind != self._kind:
            return
        if event is not None:
            self._trigger_event(self._type, {"event_id": event.event_id})
        self.async_write_ha_state()
