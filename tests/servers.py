"""Servers on loopback: what stands for the network, so that no test needs any.

`Server` answers from a dict of paths, over HTTP or HTTPS. `website` is one that programs reach under its true name: they are
led to it by a proxy, and its certificate is of an authority that they are told to trust. Any other name is refused.
"""

from __future__ import annotations

import email.utils
import hashlib
import socket
import socketserver
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

LOOPBACK = "127.0.0.1"


@dataclass
class Answer:
    """What stands at a path: equal content has an equal entity tag."""

    content: bytes
    status: int = 200
    #: Seconds since 1970.
    modified: float = 1_750_000_000.0
    #: In place of the usual ones; None leaves one out.
    headers: dict[str, str | None] = field(default_factory=dict)

    @property
    def entity_tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    @property
    def last_modified(self) -> str:
        return email.utils.formatdate(self.modified, usegmt=True)


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    path: str
    #: Their names in lower case.
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """HEAD, GET, and GET of the rest from a byte on."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        self.server.asked.append(asked)
        self.server.before_head()
        answer = self.server.answers.get(self.path.partition("?")[0], Answer(b"There is nothing here\n", 404))
        if self.server.login and asked.headers.get("authorization") != f"Basic {b64encode(self.server.login.encode()).decode()}":
            answer = Answer(b"Who are you?\n", 401, headers={"WWW-Authenticate": "Basic realm=x"})
        status, body, headers = answer.status, answer.content, {}
        if status == 200:
            headers = {"ETag": answer.entity_tag, "Last-Modified": answer.last_modified, "Accept-Ranges": "bytes"}
            first = first_byte(asked, answer)
            if first is not None:
                status, body = 206, answer.content[first:]
                headers["Content-Range"] = f"bytes {first}-{len(answer.content) - 1}/{len(answer.content)}"
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers | answer.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.flush()
            self.server.before_body()
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests look into `asked`."""


def first_byte(asked: Asked, answer: Answer) -> int | None:
    """Where to begin; None for the whole."""
    first = asked.headers.get("range", "").removeprefix("bytes=").removesuffix("-")
    version = asked.headers.get("if-range", answer.entity_tag)
    fits = first.isdecimal() and int(first) < len(answer.content) and version in (answer.entity_tag, answer.last_modified)
    return int(first) if fits else None


class Server(ThreadingHTTPServer):
    """Answers from a dict of paths, which a test may change meanwhile. With a TLS context it speaks HTTPS."""

    daemon_threads = True

    def __init__(self, answers: dict[str, Answer], context: ssl.SSLContext | None = None) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.answers = answers
        self.asked: list[Asked] = []
        #: `user:password`, where it lets nobody else in.
        self.login = ""
        #: Called before the head, which then waits for it.
        self.before_head: Callable[[], object] = lambda: None
        #: Called between head and body, which then waits for it.
        self.before_body: Callable[[], object] = lambda: None
        self.address = f"{'https' if context else 'http'}://{LOOPBACK}:{self.server_port}"
        if context:
            # The handshake waits for the connection's own thread: a client that says nothing holds up no other.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no matter of the server's."""


class Tunnel(socketserver.StreamRequestHandler):
    """`CONNECT host:port`, and then bytes both ways."""

    server: Proxy

    def handle(self) -> None:
        method, target, _ = self.rfile.readline().decode("latin-1").split(" ", 2)
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(target)
        port = self.server.routes.get(target)
        if method != "CONNECT" or port is None:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection((LOOPBACK, port)) as inner:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(inner, self.connection), daemon=True)
            back.start()
            pump(self.connection, inner)
            back.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone, so the other has nobody to talk to.
        for end in (source, target):
            end.close()


class Proxy(socketserver.ThreadingTCPServer):
    """Leads `host:port` to ports of loopback, and refuses what it has no route for."""

    daemon_threads = True

    def __init__(self, routes: dict[str, int]) -> None:
        super().__init__((LOOPBACK, 0), Tunnel)
        self.routes = routes
        self.asked: list[str] = []
        self.address = f"http://{LOOPBACK}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """As for `Server`."""


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    """In a thread of its own, until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Website:
    """An HTTPS server with a name."""

    answers: dict[str, Answer]
    #: What it was asked.
    asked: list[Asked]
    #: The certificate to trust, a PEM file.
    authority: Path
    #: What leads a program there.
    environment: dict[str, str]


@contextmanager
def website(host: str, answers: dict[str, Answer], folder: Path) -> Iterator[Website]:
    """`https://host` as long as the block lasts, for programs in its environment. The authority's certificate goes to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    certificate = folder / "authority.pem"
    authority.cert_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    server = Server(answers, context)
    proxy = Proxy({f"{host}:443": server.server_port})
    environment = {
        "https_proxy": proxy.address,
        "HTTPS_PROXY": proxy.address,
        "no_proxy": "",
        "NO_PROXY": "",
        "SSL_CERT_FILE": str(certificate),
    }
    with running(server), running(proxy):
        yield Website(answers, server.asked, certificate, environment)
