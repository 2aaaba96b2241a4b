"""A client for object stores: S3, GCS, Azure, HTTP, local files and memory."""
