"""The operator's data for maps and districts, checked once at the start."""

from dataclasses import dataclass, field
from pathlib import Path

from relay.config.settings import MapConfig
from relay.map.districts import Districts, load_districts
from relay.map.places import Places, load_places
from relay.map.streets import check_streets


@dataclass(frozen=True, slots=True, kw_only=True)
class MapData:
    """Streets to draw, their attribution, place names to search, and the town's districts.

    Each may be missing.
    """

    streets: Path | None = None
    attribution: str = ""
    places: Places = field(default_factory=Places)
    districts: Districts = field(default_factory=Districts)

    @classmethod
    def load(cls, config: MapConfig) -> "MapData":
        """Check the files, or raise ConfigError."""
        return cls(
            streets=check_streets(config.pmtiles_path),
            attribution=config.attribution,
            places=load_places(config.places_path),
            districts=load_districts(config.districts_path),
        )
