"""How a doorbell becomes somebody's: keys, the relay's certificate, pairing, owners."""
