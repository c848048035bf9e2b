"""Messages to the owners' browsers: sealed notes, pushes and pictures of events."""
