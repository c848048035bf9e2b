"""The operator's data for the officers' map, checked once at the start."""

from dataclasses import dataclass, field
from pathlib import Path

from relay.config.settings import MapConfig
from relay.map.places import Places, load_places
from relay.map.streets import check_streets


@dataclass(frozen=True, slots=True, kw_only=True)
class MapData:
    """Streets to draw, their attribution, and place names to search; each may be missing."""

    streets: Path | None = None
    attribution: str = ""
    places: Places = field(default_factory=Places)

    @classmethod
    def load(cls, config: MapConfig) -> "MapData":
        """Check both files, or raise ConfigError."""
        return cls(
            streets=check_streets(config.pmtiles_path),
            attribution=config.attribution,
            places=load_places(config.places_path),
        )
