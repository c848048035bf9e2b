"""Diagnostics without secrets: no token, no address, no id of the doorbell or of an event."""

from typing import Any

from homeassistant.core import HomeAssistant

from . import DoorwardEntry


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: DoorwardEntry
) -> dict[str, Any]:
    """Return what helps to find a fault. Each field is named here; nothing else gets in."""
    door = entry.runtime_data
    state = door.state
    return {
        "is_followed": door.is_followed,
        "is_connected": state.is_connected,
        "since_ms": state.since_ms,
        "has_problem": bool(state.problem),
        "rights": sorted(state.what),
        "has_picture": state.picture_taken_ms is not None,
        "live_because": state.live_why,
    }
