"""Microsoft: in the order of azure-identity."""
