"""The doorbell's own program: it records, and it alone decides what leaves."""
