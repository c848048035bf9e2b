"""The doorbell's own page on the home network: status, pairing, and the owner's last word.

The only server of the doorbell. It shows what the ports tell and passes on what people say; it
decides nothing. Pages are made here and work without JavaScript: there is none.
"""
