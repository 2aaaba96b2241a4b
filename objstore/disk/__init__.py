"""Files of this machine: read and written until all is done, and those that are not whole yet."""
