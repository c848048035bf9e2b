"""What doorbells tell, from the broker into the database, each event once."""
