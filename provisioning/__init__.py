"""Makes a blank card into a doorbell, and keeps it up to date."""
