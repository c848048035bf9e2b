"""The public face: what this relay is, and every request that was published. No session."""
