# SPDX-License-Identifier: Apache-2.0
"""http_get.py - files of a mount, got from a web server that shows it

usage: http_get.py ORIGINAL MOUNTED

Both are folders.  Exit 1: a reply is not the bytes of the original.
"""
import concurrent.futures
import http.client
import os
import random
import socket
import subprocess
import sys
import time


def serve(folder):
    """busybox httpd, which sends with sendfile().  A port is free until
    somebody else takes it, so it may take several tries."""
    for _ in range(20):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        server = subprocess.Popen(
            ["busybox", "httpd", "-f", "-p", f"127.0.0.1:{port}",
             "-h", folder])
        deadline = time.monotonic() + 30
        while server.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                return server, port
            except ConnectionRefusedError:
                continue
        server.kill()
        server.wait()
    sys.exit("busybox httpd does not answer")


def get(port, name, first=None, last=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {}
    if first is not None:
        headers["Range"] = f"bytes={first}-{'' if last is None else last}"
    c.request("GET", "/" + name, headers=headers)
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status, body


def main():
    original, mounted = sys.argv[1:]
    want = {}
    for name in sorted(os.listdir(original)):
        with open(os.path.join(original, name), "rb") as f:
            want[name] = f.read()
    server, port = serve(mounted)

    def client(seed):
        """A header, as a client that looks first gets it, and ranges."""
        rng = random.Random(seed)
        for name, data in want.items():
            size = len(data)
            ranges = [(0, 7), (8, 100000), (size - 1, size - 1),
                      (size - 5000, None)]
            for _ in range(10):
                first = rng.randrange(size)
                ranges.append((first, min(
                    first + rng.choice((0, 4095, 1000000, 8 << 20)),
                    size - 1)))
            for first, last in ranges:
                status, body = get(port, name, first, last)
                end = size if last is None else last + 1
                if status != 206 or body != data[first:end]:
                    raise ValueError(f"{name}: {first} to {last}: status "
                                     f"{status}, {len(body)} bytes")
            if seed % 4 == 0 and get(port, name) != (200, data):
                raise ValueError(f"{name}: the whole file differs")

    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(client, range(8)))
    except (ValueError, OSError, http.client.HTTPException) as e:
        sys.exit(f"http: {e}")
    finally:
        server.kill()
        server.wait()


main()
