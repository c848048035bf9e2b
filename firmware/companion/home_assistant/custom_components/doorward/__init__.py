"""Doorward in Home Assistant, over `doorward-view` on the same network.

The doorbell decides what comes here, by the right that its owner gave and confirmed at the door.
This integration only shows it: nothing is recorded unless that right says so.
"""

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.typing import ConfigType

from .client import Client
from .const import CONF_TOKEN, CONF_URL, DOMAIN
from .door import Door
from .errors import DoorwardError, InvalidToken
from .recording_view import RecordingView

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
PLATFORMS = [Platform.BUTTON, Platform.CAMERA, Platform.EVENT, Platform.SENSOR]

DoorwardEntry = ConfigEntry[Door]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Serve recordings to signed-in people."""
    hass.http.register_view(RecordingView(hass))
    return True


async def async_setup_entry(hass: HomeAssistant, entry: DoorwardEntry) -> bool:
    """Connect to one doorbell."""
    client = Client(async_get_clientsession(hass), entry.data[CONF_URL], entry.data[CONF_TOKEN])
    try:
        state = await client.state()
    except InvalidToken as error:
        raise ConfigEntryAuthFailed(str(error)) from error
    except DoorwardError as error:
        raise ConfigEntryNotReady(str(error)) from error
    entry.runtime_data = door = Door(client, state)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_create_background_task(hass, door.follow(), name=f"doorward {state.device}")
    return True


async def async_unload_entry(hass: HomeAssistant, entry: DoorwardEntry) -> bool:
    """Disconnect."""
    await entry.runtime_data.close_sessions()
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
