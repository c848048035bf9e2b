"""Health of the doorbell: the board's readings, frame rate by heat, and troubles for owners."""
