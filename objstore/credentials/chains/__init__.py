"""Where credentials are found, as each cloud's own tools find them."""
