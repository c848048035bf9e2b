"""Video capture: cameras, masks, encoders, the hubs for pictures, QR codes."""
