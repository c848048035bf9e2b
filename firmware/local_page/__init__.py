"""The doorbell's own web page on the home network: status, pairing, owners' confirmations.

It is the only server of the doorbell. It shows the facts of its ports and passes on people's input;
it decides nothing. Pages are rendered here and work without JavaScript; only the check page has
any.
"""
