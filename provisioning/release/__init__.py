"""What is published for others to install: images and bundles, signed by several offline keys."""
