# Runs tests.google_credentials.alone in a network and with a hosts file of its own: what metadata servers are called is here.
# Usage: unshare --net --mount sh alone.sh PYTHON; ends with 77 where that is not allowed.
hosts=$(mktemp) || exit 77
trap 'umount /etc/hosts; rm -f "$hosts"' EXIT
printf '127.0.0.1 localhost\n169.254.169.254 metadata.google.internal\n' >"$hosts"
mount --bind "$hosts" /etc/hosts || exit 77
ip link set lo up || exit 77
ip address add 169.254.169.254/32 dev lo || exit 77
"$1" -m tests.google_credentials.alone
