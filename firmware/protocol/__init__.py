"""The wire formats that doorbell, relay and apps share.

Pure data: parsing, canonical encoding and the cryptographic formats. No I/O, no clock, no
client library. The doorbell is the verifier, so it owns these words; the relay, the people of
tests/story and every checker import them from here and from nowhere else.
"""
