"""One table of relay.toml, read strictly: a value is checked as it is taken, and none is left."""

from collections.abc import Callable
from typing import TypeVar

from relay.errors import ConfigError

T = TypeVar("T")


class Table:
    """One TOML table that remembers which of its keys were taken."""

    def __init__(self, values: dict[str, object], prefix: str) -> None:
        self._values = values
        self._prefix = prefix
        self._known: set[str] = set()

    def take(
        self,
        key: str,
        parse_value: Callable[[object], T],
        expected: str,
        *,
        default: T | None = None,
        is_secret: bool = False,
    ) -> T:
        """Return the checked value of a key, or raise ConfigError."""
        self._known.add(key)
        if key not in self._values:
            if default is not None:
                return default
            raise ConfigError(self._prefix + key, "(missing)", expected)
        value = self._values[key]
        try:
            return parse_value(value)
        except (ValueError, TypeError) as error:
            shown = "(hidden)" if is_secret else value
            raise ConfigError(self._prefix + key, shown, expected) from error

    def refuse_unknown(self) -> None:
        """Raise ConfigError for a key that nobody took."""
        for key, value in self._values.items():
            if key not in self._known:
                known = ", ".join(sorted(self._known))
                raise ConfigError(self._prefix + key, value, f"no such key (known: {known})")
