"""Requests to a service over HTTP: sent many at a time, signed, retried, and what their failures mean."""
