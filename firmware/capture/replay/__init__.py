"""A camera for a machine without one: a rendered porch, or a video file, filmed in real time."""
