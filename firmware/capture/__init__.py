"""What the doorbell sees and feels: camera, encoder, luma frames, QR codes and buttons."""
