# SPDX-License-Identifier: Apache-2.0
"""hub_online.py - ask the hub for newer files of a cache that is mounted

usage: hub_online.py REPO REVISION

The hub is a server of this process, at first with REVISION, which the cache
has, then with another.  Exit 1: what is in the cache is not found by its
name, or a new revision is not refused as a read-only file system.
"""
import errno
import http.server
import os
import sys
import threading

repo, revision = sys.argv[1:]


class Hub(http.server.BaseHTTPRequestHandler):
    commit = revision
    asked = 0

    def do_HEAD(self):
        Hub.asked += 1
        self.send_response(200)
        self.send_header("X-Repo-Commit", Hub.commit)
        self.send_header("ETag", f'"{Hub.commit}"')
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
os.environ["HF_HUB_OFFLINE"] = "0"
from huggingface_hub import hf_hub_download  # noqa: E402  it reads these

path = hf_hub_download(repo, "model.safetensors")
if f"/snapshots/{revision}/" not in path or not os.path.exists(path):
    sys.exit(f"found: {path}")
if Hub.asked == 0:
    sys.exit("the hub was not asked")
Hub.commit = "f" * 40
try:
    path = hf_hub_download(repo, "model.safetensors")
except OSError as e:
    if e.errno != errno.EROFS:
        raise
else:
    sys.exit(f"a new revision could be had: {path}")
