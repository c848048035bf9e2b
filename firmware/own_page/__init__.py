"""What the doorbell's own page sees of the doorbell.

Translation only: the page in door/ knows nothing of statements, pairing or the library, and none of
them knows how it is shown.
"""
