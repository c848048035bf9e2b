"""Wiring: puts the relay's parts together as one process and decides nothing."""
