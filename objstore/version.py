"""The version, and the name under which package indexes have the library."""

VERSION = "0.1.0"

USER_AGENT = f"objstore/{VERSION}"

DISTRIBUTION = "objstore-client"
