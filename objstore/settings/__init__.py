"""The settings of stores, and what names them: options and their values, URLs, paths."""
