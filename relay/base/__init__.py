"""Basic services without domain knowledge: clock, networks, request ids, metrics."""
