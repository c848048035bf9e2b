"""Setting up one doorbell: where `doorward-view` is, and its token."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import voluptuous as vol
from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType

from .client import Client, DoorState
from .const import CONF_TOKEN, CONF_URL, DOMAIN
from .errors import CannotConnect, InvalidToken, NotDoorward, Refused

PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))
DEFAULT_URL = "http://127.0.0.1:8480"


class DoorwardConfigFlow(ConfigFlow, domain=DOMAIN):
    """Asks for address and token, and tries them."""

    VERSION = 1

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take address and token."""
        errors: dict[str, str] = {}
        if user_input is not None:
            state, error = await self._tried(user_input)
            if state is None:
                errors["base"] = error
            else:
                await self.async_set_unique_id(state.device)
                self._abort_if_unique_id_configured(updates=user_input)
                return self.async_create_entry(title="Doorbell", data=user_input)
        given = user_input or {}
        schema = vol.Schema(
            {
                vol.Required(CONF_URL, default=given.get(CONF_URL, DEFAULT_URL)): str,
                vol.Required(CONF_TOKEN): PASSWORD,
            }
        )
        return self.async_show_form(step_id="user", data_schema=schema, errors=errors)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take another address or token for the same doorbell."""
        entry, errors = self._get_reconfigure_entry(), {}
        if user_input is not None:
            state, error = await self._tried(user_input)
            if state is not None:
                await self.async_set_unique_id(state.device)
                self._abort_if_unique_id_mismatch(reason="another_doorbell")
                return self.async_update_reload_and_abort(entry, data_updates=user_input)
            errors["base"] = error
        schema = vol.Schema(
            {
                vol.Required(CONF_URL, default=entry.data[CONF_URL]): str,
                vol.Required(CONF_TOKEN): PASSWORD,
            }
        )
        return self.async_show_form(step_id="reconfigure", data_schema=schema, errors=errors)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Begin to take a new token."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take a new token."""
        entry, errors = self._get_reauth_entry(), {}
        if user_input is not None:
            state, error = await self._tried({**entry.data, **user_input})
            if state is not None:
                await self.async_set_unique_id(state.device)
                self._abort_if_unique_id_mismatch(reason="another_doorbell")
                return self.async_update_reload_and_abort(entry, data_updates=user_input)
            errors["base"] = error
        schema = vol.Schema({vol.Required(CONF_TOKEN): PASSWORD})
        return self.async_show_form(step_id="reauth_confirm", data_schema=schema, errors=errors)

    async def _tried(self, given: Mapping[str, Any]) -> tuple[DoorState | None, str]:
        """Return the doorbell's state, or the error's name."""
        parts = urlsplit(given[CONF_URL])
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            return None, "invalid_url"
        client = Client(
            async_get_clientsession(self.hass), given[CONF_URL], given[CONF_TOKEN].strip()
        )
        try:
            return await client.state(), ""
        except InvalidToken:
            return None, "invalid_auth"
        except NotDoorward:
            return None, "not_doorward"
        except (CannotConnect, Refused):
            return None, "cannot_connect"
