"""Wiring: puts the doorbell's parts together and decides nothing.

No rule, limit, file format or wire document belongs here; this is the only folder that may import
every other.
"""
