"""Ingest of doorbells' events and states from the broker into the database, each event once."""
