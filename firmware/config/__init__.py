"""The doorbell's settings: one TOML file, decoded strictly and once, when the program starts."""
