"""Checks evidence offline, for an agency, a court, or anyone who is handed it.

Here belongs what looks at a package or at files that were opened from one, and says what holds
and what doesn't. Pure but for cli.py; it imports the protocol and nothing else of Doorward, so
that it installs and can be read alone. Making keys and certificates belongs to relay/agency/.
"""
