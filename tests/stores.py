"""Stores on loopback for tests: as much of Google's JSON API and of the Hub's as reading and writing files takes, and SFTP."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

WRITTEN = "2026-11-01T12:00:00.000Z"
Files = dict[str, bytes]
"""Path → content."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Files
    asked: list[str]
    """Ranges that were asked for."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def say(self, body: bytes | dict[str, Any] | list[Any], status: int = 200, **headers: str) -> None:
        """Answers with bytes or JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if "content_length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def say_file(self, path: str, **headers: str) -> None:
        """A file, or the range of it that was asked for."""
        if path not in self.files:
            self.say({"error": {"code": 404, "message": f"no {path}"}}, 404)
            return
        data = self.files[path]
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not found:
            self.say(data, **headers)
            return
        self.asked.append(found[0])
        first, last = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
        self.say(data[first : last + 1], 206, Content_Range=f"bytes {first}-{last}/{len(data)}", **headers)

    def body(self) -> bytes:
        """What was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def asks(self) -> tuple[str, dict[str, str]]:
        """(path, query)."""
        parts = urlsplit(self.path)
        return parts.path, {key: value[0] for key, value in parse_qs(parts.query).items()}


class Google(_Handler):
    """Google Cloud Storage's JSON API: list, stat, read, write whole."""

    def do_GET(self) -> None:
        """List, stat or read."""
        path, query = self.asks
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o", path):
            self.say(self._listed(found[1], query.get("prefix", ""), query.get("delimiter", "")))
        elif found := re.fullmatch(r"(/download)?/storage/v1/b/([^/]+)/o/(.+)", path):
            name = f"{found[2]}/{unquote(found[3])}"
            if found[1] or query.get("alt") == "media":
                self.say_file(name)
            elif name in self.files:
                self.say(self._told(name))
            else:
                self.say({"error": {"code": 404, "message": "none"}}, 404)
        elif found := re.fullmatch(r"/storage/v1/b/([^/]+)", path):
            self.say({"kind": "storage#bucket", "name": found[1], "location": "US", "storageClass": "STANDARD"})
        else:
            self.say({"error": {"code": 404, "message": path}}, 404)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """Write: in one request, with metadata or without, or the first of several."""
        path, query = self.asks
        bucket = path.split("/b/", 1)[1].split("/", 1)[0]
        sent = self.body()
        kind = query.get("uploadType")
        if kind == "resumable":
            name = json.loads(sent)["name"] if sent else query["name"]
            here = f"http://{self.headers['Host']}/session/{bucket}/{name}"
            self.files[f"{bucket}/{name}"] = b""
            self.say({}, Location=here)
            return
        if kind == "multipart":
            mark = re.search(r'boundary="?([^";]+)"?', self.headers["Content-Type"])
            assert mark
            meta, data = (part.split(b"\r\n\r\n" if b"\r\n\r\n" in part else b"\n\n", 1)[1].rstrip(b"\r\n")
                          for part in sent.split(b"--" + mark[1].encode())[1:3])  # fmt: skip
            name = json.loads(meta)["name"]
        else:
            name, data = query["name"], sent
        self.files[f"{bucket}/{name}"] = data
        self.say(self._told(f"{bucket}/{name}"))

    def do_PUT(self) -> None:
        """A part of a file that is sent in several."""
        name = unquote(self.asks[0]).removeprefix("/session/")
        self.files[name] += self.body()
        self.say(self._told(name))

    def _told(self, name: str) -> dict[str, Any]:
        bucket, _, inner = name.partition("/")
        data = self.files[name]
        return {"kind": "storage#object", "name": inner, "bucket": bucket, "size": str(len(data)), "generation": "1",
                "etag": sha1(data).hexdigest(), "updated": WRITTEN, "timeCreated": WRITTEN, "contentType": "text/plain"}  # fmt: skip

    def _listed(self, bucket: str, prefix: str, delimiter: str) -> dict[str, Any]:
        names = [name for name in sorted(self.files) if name.startswith(f"{bucket}/{prefix}")]
        inner = [name.split("/", 1)[1] for name in names]
        folders = {prefix + one[len(prefix) :].split("/", 1)[0] + "/" for one in inner if delimiter and "/" in one[len(prefix) :]}
        plain = [f"{bucket}/{one}" for one in inner if not delimiter or "/" not in one[len(prefix) :]]
        return {"kind": "storage#objects", "items": [self._told(name) for name in plain], "prefixes": sorted(folders)}


class Hub(_Handler):
    """The Hugging Face Hub, of which `files` are those of the data set `lab/runs`: list and read."""

    REPO = "datasets/lab/runs"
    COMMIT = "c" * 40

    def do_GET(self) -> None:
        """List or read."""
        path, query = unquote(self.asks[0]), self.asks[1]
        if found := re.fullmatch(rf"/api/{self.REPO}/tree/[^/]+/?(.*)", path):
            self.say(self._listed(found[1].strip("/"), query.get("recursive", "").lower() == "true"))
        elif re.fullmatch(rf"/api/{self.REPO}(/revision/[^/]+)?", path):
            names = [{"rfilename": name} for name in sorted(self.files)]
            self.say({"id": "lab/runs", "sha": self.COMMIT, "siblings": names, "private": False, "tags": [], "downloads": 0,
                      "lastModified": WRITTEN, "gated": False, "disabled": False})  # fmt: skip
        elif found := re.fullmatch(rf"/{self.REPO}/resolve/[^/]+/(.+)", path):
            etag = sha1(self.files.get(found[1], b"")).hexdigest()
            self.say_file(found[1], ETag=f'"{etag}"', X_Repo_Commit=self.COMMIT, Accept_Ranges="bytes")
        else:
            self.say({"error": path}, 404)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """What stands at some paths."""
        wanted = parse_qs(self.body().decode()).get("paths", [])
        self.say([one for one in self._listed("", True) if one["path"] in wanted])

    def _listed(self, folder: str, is_deep: bool) -> list[dict[str, Any]]:
        start = f"{folder}/" if folder else ""
        files = [name for name in sorted(self.files) if name.startswith(start)]
        folders = {name[: at.start()] for name in files for at in re.finditer("/", name) if at.start() > len(start)}
        every = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": name} for name in sorted(folders)]
        every += [{"type": "file", "oid": sha1(self.files[name]).hexdigest(), "size": len(self.files[name]), "path": name}
                  for name in files]  # fmt: skip
        return [one for one in every if is_deep or "/" not in str(one["path"])[len(start) :]]


@contextmanager
def served(kind: type[_Handler], files: Files) -> Iterator[tuple[str, list[str]]]:
    """(the address of such a store, the ranges that were asked for)."""
    asked: list[str] = []
    handler = type(kind.__name__, (kind,), {"files": files, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def sftp(folder: Path, password: str) -> Iterator[str]:
    """The address of an SFTP server for a folder, open to anybody with the password."""
    import paramiko

    class Door(paramiko.ServerInterface):
        def check_auth_password(self, username: str, given: str) -> int:
            return paramiko.AUTH_SUCCESSFUL if given == password else paramiko.AUTH_FAILED

        def check_channel_request(self, kind: str, chanid: int) -> int:
            return paramiko.OPEN_SUCCEEDED

    class Files(paramiko.SFTPServerInterface):
        def _there(self, path: str) -> str:
            return str(folder / path.lstrip("/"))

        def list_folder(self, path: str) -> Any:
            return _tried(lambda: [_stat(os.path.join(self._there(path), name), name) for name in os.listdir(self._there(path))])

        def stat(self, path: str) -> Any:
            return _tried(lambda: _stat(self._there(path)))

        lstat = stat

        def mkdir(self, path: str, attr: Any) -> Any:
            return _tried(lambda: os.mkdir(self._there(path)) or paramiko.SFTP_OK)

        def open(self, path: str, flags: int, attr: Any) -> Any:
            def opened() -> Any:
                file = os.fdopen(os.open(self._there(path), flags, 0o600), "wb" if flags & os.O_WRONLY else "rb")
                handle = paramiko.SFTPHandle(flags)
                handle.readfile = handle.writefile = file  # type: ignore[attr-defined]
                return handle

            return _tried(opened)

    def _stat(path: str, name: str | None = None) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.stat(path), name)

    def _tried(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    key = paramiko.RSAKey.generate(2048)
    door = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                transport = paramiko.Transport(door.accept()[0])
            except OSError:
                return
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
            try:
                transport.start_server(server=Door())
            except (paramiko.SSHException, EOFError):
                continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{door.getsockname()[1]}"
    finally:
        door.close()
