"""Tells whoever listens right now: the in-process hub behind the owner's event stream."""
