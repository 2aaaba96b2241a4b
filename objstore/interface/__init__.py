"""What operations and providers know of each other: values, protocols, and the least that a store is."""
