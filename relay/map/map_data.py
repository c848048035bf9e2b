"""What an operator has for the officers' map, looked at once at the start."""

from dataclasses import dataclass, field
from pathlib import Path

from relay.config.settings import MapConfig
from relay.map.places import Places, load_places
from relay.map.streets import check_streets


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Streets to draw, who made them, and names to search; each may be missing."""

    streets: Path | None = None
    attribution: str = ""
    places: Places = field(default_factory=Places)

    @classmethod
    def load(cls, config: MapConfig) -> "Maps":
        """Look at both files, or raise ConfigError."""
        return cls(
            streets=check_streets(config.pmtiles_path),
            attribution=config.attribution,
            places=load_places(config.places_path),
        )
