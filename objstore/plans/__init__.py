"""Plans, and the ways to wait: what an operation may ask of the world, and what drives it."""
