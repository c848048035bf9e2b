"""How a doorbell becomes somebody's: keys, certificate, pairing, owners, browsers."""
