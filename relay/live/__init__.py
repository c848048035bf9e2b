"""Live view's signalling. Media never passes through the relay."""
