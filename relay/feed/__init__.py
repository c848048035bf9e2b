"""The neighbours' feed: posts by district, each read by a moderator before it is published."""
