"""What all entities of a doorbell share."""

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity

from .client import DoorEvent
from .const import DOMAIN
from .door import Door


class DoorwardEntity(Entity):
    """An entity that follows one doorbell."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, door: Door, key: str) -> None:
        super().__init__()
        self.door = door
        self._attr_translation_key = key
        self._attr_unique_id = f"{door.state.device}-{key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, door.state.device)}, name="Doorbell", manufacturer="Doorward"
        )

    @property
    def available(self) -> bool:
        """Whether the doorbell is in reach."""
        return self.door.is_available

    async def async_added_to_hass(self) -> None:
        """Follow the doorbell."""
        self.async_on_remove(self.door.listen(self._take))

    @callback
    def _take(self, event: DoorEvent | None) -> None:
        if event is None:
            self.async_write_ha_state()
