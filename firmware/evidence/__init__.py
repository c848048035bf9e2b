"""Proof and sealing: a clip's signed manifest, and the package that one agency can open."""
