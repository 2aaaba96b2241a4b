"""nginx as the object store: four doors to the same files, with a config of its own in a folder of its own.

plain    HTTP/1.1, keep-alive without end, open_file_cache, sendfile from tmpfs (for pieces of a few KiB a plain read,
         which is cheaper and leaves in one segment with the head); one worker: a second only takes CPU from the client
tls      the same under TLS 1.3 with our own CA
paced    the kernel gives each connection 50 MB/s (SO_MAX_PACING_RATE; nginx's limit_rate starts anew with each request
         and grants the first second at once, so ranges would pass it by)
counted  the same files with an access log: requests and bytes on the wire, for passes outside the clock

Beside the paths that S3, Google's XML API and Azure share, each door has those of Google's JSON API; and below `SDK` it
takes the header in which Microsoft's own client names ranges, by way of itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bench.servers import process
from bench.servers.certificates import write_certificates

PACED_BYTES_PER_SECOND = 50_000_000
WORKERS = 1
SDK = "/sdk"

CONFIG = """
daemon off;
{user}
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    log_format wire "$request_length $bytes_sent";
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_timeout 3600; keepalive_requests 1000000000;
    open_file_cache max=8192 inactive=1h; open_file_cache_valid 1h;
    default_type application/octet-stream;
    ssl_certificate {folder}/leaf.pem; ssl_certificate_key {folder}/leaf.key; ssl_protocols TLSv1.2 TLSv1.3;
    map $args $token {{ ~continuation-token=([0-9]+) $1; default ""; }}
    map $args $warm {{ ~prefix=warm warm; default ""; }}
    {sums}
    {servers}
}}
"""

SERVER = """
    upstream itself_{door} {{ server {address}:{plain}; keepalive 64; }}
    server {{
        listen {address}:{port}{flags}; {extra}
        root {files};
        location = /bench {{ default_type application/xml; try_files /pages/page-$token$warm =404; }}
        location = /bench/ {{ default_type application/xml; try_files /pages/page-$token$warm =404; }}
        location /bench/ {{ }}
        {sink}
        location ~ ^/bench/(small|pieces)/ {{ sendfile off; }}
        location ~ ^/download/storage/v1/b/bench/o/(.+)$ {{ alias {files}/bench/$1; }}
        location {sdk}/ {{
            proxy_pass http://itself_{door}/; proxy_set_header Range $http_x_ms_range; proxy_buffering off;
            proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
"""


SUMS = """
    map $uri $sum {{ {rows} default ""; }}
    map $http_x_amz_checksum_mode $told {{ ENABLED $sum; default ""; }}
    add_header x-amz-checksum-crc64nvme $told;
"""
SINK = """
        location /bench/upload {{
            proxy_pass http://{sink}; proxy_request_buffering off; client_max_body_size 0;
            proxy_http_version 1.1; proxy_set_header Connection "";
        }}
"""


class Nginx:
    """Serves `files` from the moment it is made until `close`; `ports` has the port of each door.

    Args:
        files: What to serve.
        folder: Where its own files go.
        address: Where it listens.
        called: What clients call it by: its certificate is for that.
        sums: Checksums by path, told to who asks for them.
        sink: Where uploads go, if any do.
    """

    def __init__(
        self,
        files: Path,
        folder: Path,
        address: str = process.LOOPBACK,
        called: str = process.LOOPBACK,
        *,
        sums: Mapping[str, str] | None = None,
        sink: str | None = None,
    ) -> None:
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if program is None:
            raise process.MissingProgramError("no nginx on this machine: apt-get install nginx-light")
        self.program, self.files, self.folder, self.wire_log = program, files, folder, folder / "wire.log"
        write_certificates(folder, called)
        listeners = {
            "plain": process.listening_socket(address=address),
            "tls": process.listening_socket(address=address),
            "paced": process.listening_socket(address=address, bytes_per_second=PACED_BYTES_PER_SECOND),
            "counted": process.listening_socket(address=address),
        }
        self.ports = {door: process.port_of(listener) for door, listener in listeners.items()}
        self._sums = SUMS.format(rows=" ".join(f'{path} "{told}";' for path, told in sums.items())) if sums else ""
        self._sink = SINK.format(sink=sink) if sink else ""
        (folder / "nginx.conf").write_text(self._config(files, folder, address))
        inherited = "".join(f"{listener.fileno()};" for listener in listeners.values())
        self._process = process.start(
            [program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
            list(listeners.values()),
            {"NGINX": inherited, "PATH": os.environ.get("PATH", "")},
        )
        for listener in listeners.values():
            listener.close()

    def version(self) -> str:
        return subprocess.run([self.program, "-v"], capture_output=True, text=True, check=True).stderr.strip()

    def wire(self) -> tuple[int, int]:
        """Return requests answered by the counted door and the bytes that it sent, since the last call."""
        time.sleep(0.1)
        lines = [line.split() for line in self.wire_log.read_text().splitlines()]
        os.truncate(self.wire_log, 0)
        return len(lines), sum(int(sent) for _, sent in lines)

    def close(self) -> None:
        process.stop(self._process)

    def _config(self, files: Path, folder: Path, address: str) -> str:
        doors = {"plain": "", "tls": " ssl", "paced": "", "counted": ""}
        servers = "".join(
            SERVER.format(
                address=address,
                port=self.ports[door],
                flags=flags,
                files=files,
                door=door,
                plain=self.ports["plain"],
                sdk=SDK,
                sink=self._sink,
                extra=f"access_log {self.wire_log} wire;" if door == "counted" else "",
            )
            for door, flags in doors.items()
        )
        user = "user root;" if os.geteuid() == 0 else ""
        return CONFIG.format(user=user, workers=WORKERS, folder=folder, servers=servers, sums=self._sums)
