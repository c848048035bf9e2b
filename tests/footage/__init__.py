"""Filmed footage for tests: fetched from Debian's archive when a test wants it, never committed.

`debian` fetches it, `marks` reads what was marked by hand in it.
"""
