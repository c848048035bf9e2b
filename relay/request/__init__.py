"""Evidence requests: from an officer's draft to the register.

    draft ─► second officer ─► moderation ─► next batch ─► the register ─► every doorbell reads it

The rules are the register's own (firmware/protocol/register), so that relay and doorbell can't
differ. What the relay checks keeps honest officers from mistakes, and the public record clean:
doorbells check each request again by themselves.
"""
