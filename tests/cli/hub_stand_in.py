"""A stand-in for Hugging Face's hub, as far as uploading and loading a small model goes."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """Answers for the models in `server.models`: name -> {file: content}."""

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Authorization") != "Bearer hf_stand_in":
            self.answer({"error": "Invalid credentials"}, 401)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = (
                f"me/{asked['name']}" if not asked.get("organization") else f"{asked['organization']}/{asked['name']}"
            )
            self.server.models.setdefault(name, {})
            self.server.is_private = asked.get("private") or asked.get("visibility") == "private"
            self.answer({"url": f"{self.server.url}/{name}", "name": name, "id": name})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            regular = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self.answer({"files": regular, "shouldIgnore": False})
        elif "/commit/" in self.path:
            files = self.server.models[self.name]
            for line in body.splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            self.answer({"commitUrl": f"{self.server.url}/{self.name}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self.answer({"errors": [], "warnings": []})  # of the model card

    @property
    def name(self):
        return "/".join(self.path.removeprefix("/api/models").strip("/").split("/")[:2])

    def do_GET(self):
        content = self.server.models.get(self.name, {}).get(self.path.partition("/resolve/main/")[2])
        if content is None:
            self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        else:
            etag = hashlib.sha1(content).hexdigest()
            self.answer(content, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    do_HEAD = do_GET

    def answer(self, content, status=200, headers=None):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args):
        """Keep the test's output clean."""


@contextmanager
def hub_stand_in():
    """Run a hub; yield its server, with `url` and `models`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.models, server.is_private = {}, False
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
