"""Amazon: in the order of botocore."""
