"""The object stores: what each one calls things, and what it really does differently."""
