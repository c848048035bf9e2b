"""Live view's signalling, and its STUN and TURN servers. Media never passes through the relay."""
