"""The vault: sealed files, and the keys that open them."""
