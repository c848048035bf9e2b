"""The camera of a Raspberry Pi. Only picamera.py imports picamera2; the rest runs without it."""
