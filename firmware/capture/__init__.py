"""What the doorbell sees: cameras, masks, encoders, the hubs for pictures, QR codes."""
