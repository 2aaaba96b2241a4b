"""The parts of the fsspec integration; `objstore.fsspec` is its face."""
