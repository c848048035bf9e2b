"""The fleet of doorbells: who belongs to it, who is let in, and what they are told.

The CA signs one certificate for each claim; the callout turns a certificate into the subjects
of that one doorbell; revocation refuses and throws off; commands are repeated until answered.
"""
