"""The cloud relay: it carries, stores and shows, and is trusted with nothing."""
