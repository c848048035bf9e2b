"""Polygons in the picture, for masks and motion zones."""

Point = tuple[float, float]
"""x from the left, y from the top, each as a fraction of the picture, 0 to 1."""
Polygon = tuple[Point, ...]
