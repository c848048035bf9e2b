"""What is filmed with, known to those who film and to those who judge."""

FPS = 20
LOW_FPS = 10
BITRATE_BPS, LOW_BITRATE_BPS = 3_000_000, 300_000
