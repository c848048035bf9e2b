"""The first boot of a card: makes a Raspberry Pi into an enrolled doorbell, without the internet.

Runs from a zip file on the boot partition, by the system's own Python, before anything is
installed: so nothing here imports anything but the standard library. Each step finds out by itself
whether it is done, so a power cut at any moment costs a start and nothing else.
"""
