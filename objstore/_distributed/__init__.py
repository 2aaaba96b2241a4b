"""What a job on many processes is made of."""
