"""Web Push: says at once, and to enrolled browsers alone, that somebody is at the door."""
