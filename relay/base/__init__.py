"""The relay's lowest parts: they import no other part of it."""
