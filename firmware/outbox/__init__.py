"""What is still to be told or to be delivered, and survives everything until it was."""
