"""The stores: a module for each kind, and what they have in common."""
