"""The servers that the rows talk to: all on loopback, all processes of their own, all ended with the run."""
