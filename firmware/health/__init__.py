"""How the doorbell is: what the board says, what heat allows, and what its owner is told."""
