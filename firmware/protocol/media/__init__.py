"""Bounded readers of media that others made: bytes by range, and the one MP4 reader."""
