"""The relay's settings: relay.toml, decoded strictly and once, when a command starts."""
