"""Enrolment of the doorbell and its people: keys, certificate, pairing, owners, browsers."""
