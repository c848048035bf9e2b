"""The program `doorward-witness`: a witness of transparency logs (C2SP tlog-witness).

It signs that a log only ever grew, and when it saw it. It is no part of a relay, and shares nothing
with one but the protocol: a relay whose witnesses were its own operator's would prove nothing.
"""
