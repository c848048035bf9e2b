"""Evidence packages on their way: announced by a doorbell, uploaded, delivered to an agency.

The relay holds ciphertext only and opens nothing.
"""
