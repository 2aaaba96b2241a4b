"""The faces of other libraries, for programs written for them."""
