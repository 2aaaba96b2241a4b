"""The parts of the pyarrow integration; `objstore.arrow` and `objstore.parquet` are its face."""
