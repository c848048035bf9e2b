"""Evidence requests: the rules for publishing one, and telling every doorbell.

Doorbells check each request again by themselves; what the relay checks keeps honest officers
from mistakes, and the public record clean.
"""
