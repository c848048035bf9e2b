"""The fleet of doorbells: enrolment, authentication at the broker, and commands.

The CA signs one certificate for each claim; the callout turns a certificate into the subjects
of that one doorbell; revocation refuses and throws off; commands are repeated until answered.
"""
