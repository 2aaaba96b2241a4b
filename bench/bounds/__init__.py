"""What is held at the most: memory while much is read, descriptors while much is asked for at once."""
