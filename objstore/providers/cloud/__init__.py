"""Buckets of cloud services."""
