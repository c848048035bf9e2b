"""A whole cluster on one machine, with people who ring and watch, and what is killed in it."""
