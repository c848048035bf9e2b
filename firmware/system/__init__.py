"""Process-level services that know nothing of doorbells: clock, supervision, durable files."""
