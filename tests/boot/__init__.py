"""Cards booted in QEMU: from an image, through the first boot, to a press that a relay shows.

`system` makes a root file system of Debian's packages, `base_image` an image of it as pi-gen lays
one out, `bundle` what is installed offline, `relay` a real relay behind TLS, `card` a customised
card, and `machine` boots it. `python -m tests.boot` shows it to a person.
"""
