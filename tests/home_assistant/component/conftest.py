"""Home Assistant's own test rig, with our component, before a real doorward-view and doorbell.

Run by Home Assistant's Python (.ci/home_assistant); the doorbell runs in ours, as a process.
"""

import importlib
from collections.abc import Iterator

import pytest
from door_process import COMPONENTS, DoorProcess, door_process
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_custom_components


@pytest.fixture(autouse=True)
async def with_component(
    hass: HomeAssistant, enable_custom_integrations: None, socket_enabled: None
) -> None:
    """Let Home Assistant find our component, beside the rig's own, and reach this machine."""
    found = importlib.import_module("custom_components").__path__
    ours = str(COMPONENTS / "custom_components")
    if ours not in found:
        found.append(ours)
    assert "doorward" in await async_get_custom_components(hass)


@pytest.fixture
def door() -> Iterator[DoorProcess]:
    """A doorbell of its own for each test."""
    with door_process() as door:
        yield door
