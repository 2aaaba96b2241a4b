"""A strict fake of S3 Express One Zone, which no server has, and what is tested on it."""
