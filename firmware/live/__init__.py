"""Live view and clips for the owner's app, over WebRTC, straight from the doorbell."""
