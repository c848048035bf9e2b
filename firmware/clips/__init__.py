"""Clips: the ring (pre-roll), the recorder and the library."""
