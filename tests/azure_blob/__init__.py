"""A strict fake of Azure storage, from the documented contracts: what Azurite has not."""
