"""A server of S3 on loopback: moto's, behind a door that checks each signature with AWS's own code, and that tests can spoil."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY, SECRET = "AKIDEXAMPLEEXAMPLE00", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYZEXAMPLE00"
#: A WSGI answer, or None for the usual one.
Spoiler = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes] | None]


class Buckets:
    """What it holds, and whom it lets in."""

    def __init__(self, key: str, secret: str) -> None:
        self.key, self.secret = key, secret
        self.moto = DomainDispatcherApplication(create_backend_app)
        #: Method and path with its query, of each request.
        self.asked: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        self.spoil: Spoiler = lambda environ, start: None
        #: Buckets whose objects anybody may read.
        self.public: set[str] = set()
        self.address = ""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, target = environ["REQUEST_METHOD"], environ["REQUEST_URI"]
        self.asked.append((method, target))
        self.ranges.append(environ.get("HTTP_RANGE", ""))
        if refused := self.refusal(environ):
            body = b"" if method == "HEAD" else f"<Error><Code>{refused}</Code><Message>{KEY}</Message></Error>".encode()
            start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        # Moto would ask who it is.
        environ.setdefault("HTTP_AUTHORIZATION", f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request")
        spoilt = self.spoil(environ, start)
        if spoilt is not None:
            return spoilt
        answer: Iterable[bytes] = self.moto(environ, start)
        return answer

    def refusal(self, environ: dict[str, Any]) -> str | None:
        target = urlsplit(environ["REQUEST_URI"])
        told = environ.get("HTTP_AUTHORIZATION", "")
        if not told:
            return None if target.path.split("/")[1] in self.public else "AccessDenied"
        parts = dict(part.strip().split("=", 1) for part in told.removeprefix("AWS4-HMAC-SHA256 ").split(","))
        key, day, region, *_ = parts["Credential"].split("/")
        if key != self.key:
            return "InvalidAccessKeyId"
        names = parts["SignedHeaders"].split(";")
        headers = {name: environ["HTTP_" + name.upper().replace("-", "_")] for name in names}
        assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names)
        request = AWSRequest(environ["REQUEST_METHOD"], f"http://{headers['host']}{environ['REQUEST_URI']}", headers)
        request.context["timestamp"] = headers["x-amz-date"]
        request.context["payload_signing_enabled"] = True
        signer = S3SigV4Auth(Credentials(self.key, self.secret), "s3", region)
        signer._should_sha256_sign_payload = lambda request: True
        signer.payload = lambda request: headers["x-amz-content-sha256"]
        canonical = signer.canonical_request(request)
        signature = signer.signature(signer.string_to_sign(request, canonical), request)
        return None if signature == parts["Signature"] else "SignatureDoesNotMatch"

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Makes an object, and its bucket."""
        self.request("PUT", f"/{bucket}")
        assert self.request("PUT", f"/{bucket}/{quote(key)}", content).status_code == 200

    def remove(self, bucket: str, key: str) -> None:
        self.request("DELETE", f"/{bucket}/{quote(key)}")

    def read(self, bucket: str, key: str) -> bytes | None:
        answer = self.request("GET", f"/{bucket}/{quote(key)}")
        return answer.get_data() if answer.status_code == 200 else None

    def keys(self, bucket: str) -> list[str]:
        from xml.etree import ElementTree

        root = ElementTree.fromstring(self.request("GET", f"/{bucket}?list-type=2").get_data())
        return [key.text or "" for key in root.iter() if key.tag.endswith("}Key") or key.tag == "Key"]

    def request(self, method: str, target: str, content: bytes = b"") -> Any:
        from werkzeug.test import Client

        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request"}
        return Client(self.moto).open(target, method=method, data=content, headers=headers, base_url=self.address)

    @property
    def environment(self) -> dict[str, str]:
        """For a program that is to find it and to be let in."""
        return {"AWS_ENDPOINT_URL": self.address, "AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *arguments: Any) -> None:
        """Tests look into `asked`."""


@contextmanager
def buckets(key: str = KEY, secret: str = SECRET) -> Iterator[Buckets]:
    app = Buckets(key, secret)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    app.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        thread.join()
        app.request("POST", "/moto-api/reset")
