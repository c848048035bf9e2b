"""Agencies that take part, and the certificates by which they vouch for officers' passkeys."""
