"""Objects in local files."""
