"""The connection to the broker: events and replies go up, commands come down."""
