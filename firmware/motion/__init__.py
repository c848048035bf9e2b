"""Motion: what moves in the picture, and what comes of it. Needs NumPy."""
