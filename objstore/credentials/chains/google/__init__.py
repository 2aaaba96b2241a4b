"""Google: application default credentials."""
