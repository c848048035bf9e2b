"""The cloud relay: carries messages, stores packages and serves pages; nobody needs to trust it."""
