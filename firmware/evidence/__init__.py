"""Evidence: clips' signed manifests, and the packages that one agency can open."""
