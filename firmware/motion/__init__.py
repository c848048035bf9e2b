"""Motion: the detector, and its events and clips. Needs NumPy."""
