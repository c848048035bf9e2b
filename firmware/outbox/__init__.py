"""Durable queues to the relay and the bucket: events and sealed packages, until delivered."""
