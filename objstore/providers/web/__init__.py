"""HTTP servers, with WebDAV and without."""
