"""Base services that know nothing of doorbells: clock, networks, request ids, metrics."""
