"""The public face: pages about this relay and the public record. No session."""
