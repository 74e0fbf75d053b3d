"""A server of FTP on loopback, with TLS or without: pyftpdlib's, which tests can spoil."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import DTPHandler, FTPHandler, TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import ThreadedFTPServer

USER, PASSWORD = "username", "pass-word-hunter2"

logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)


class Shelves:
    """A folder that is served."""

    def __init__(self, folder: Path, secure: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.secure = secure
        self.port = 0
        #: The commands that came, with what they were about.
        self.asked: list[str] = []
        #: Answers in place of the usual, by command.
        self.answers: dict[str, str] = {}
        #: Bytes after which connections for content break, and how often they still do.
        self.cut_after, self.cuts = 0, 0

    def address(self, path: str = "", user: str = "") -> str:
        return f"{'ftps' if self.secure else 'ftp'}://{user}localhost:{self.port}/{path}"


def handler(shelves: Shelves, certificate: Path | None, login: tuple[str, str]) -> type[FTPHandler]:
    base: Any = TLS_FTPHandler if shelves.secure else FTPHandler
    data: Any = TLS_DTPHandler if shelves.secure else DTPHandler

    class Data(data):  # type: ignore[misc]
        def _cut(self, count: int) -> bool:
            if shelves.cuts == 0 or count < shelves.cut_after:
                return False
            shelves.cuts -= 1
            self.cmd_channel.close()
            self.close()
            return True

        def send(self, content: bytes) -> int:
            if shelves.cuts and self.tot_bytes_sent + len(content) > shelves.cut_after:
                content = content[: shelves.cut_after - self.tot_bytes_sent]
            sent: int = super().send(content) if content else 0
            if self._cut(self.tot_bytes_sent):
                return 0
            return sent

        def handle_read(self) -> None:
            super().handle_read()
            self._cut(self.tot_bytes_received)

        if not shelves.secure:
            # What pyftpdlib really calls.
            handle_read_event = handle_read

    class Handler(base):  # type: ignore[misc]
        dtp_handler = Data
        use_sendfile = False
        auth_failed_timeout = 0

        def pre_process_command(self, line: str, command: str, argument: str) -> None:
            shelves.asked.append(f"{command} {argument}".strip())
            if answer := shelves.answers.get(command):
                if answer == "drop":
                    return self.close()
                if answer != "silence":
                    self.respond(answer)
                return None
            super().pre_process_command(line, command, argument)

    authorizer = DummyAuthorizer()
    authorizer.add_user(*login, str(shelves.folder), perm="elradfmwMT")
    Handler.authorizer = authorizer
    if shelves.secure:
        Handler.certfile = str(certificate)
        Handler.tls_control_required = Handler.tls_data_required = True
    return Handler


@contextmanager
def shelves(
    folder: Path, secure: bool = False, anonymous: bool = False, login: tuple[str, str] = (USER, PASSWORD)
) -> Iterator[Shelves]:
    """The server; one with TLS has its certificate's authority in `ca.pem` beside the folder."""
    served = Shelves(folder, secure)
    certificate = None
    if secure:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder.parent / "ca.pem"))
        certificate = folder.parent / "server.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    kind = handler(served, certificate, login)
    if anonymous:
        kind.authorizer.add_anonymous(str(folder))
    # The one that it has by itself is shared with all others of the process.
    server = ThreadedFTPServer(("127.0.0.1", 0), kind, ioloop=IOLoop())
    served.port = server.address[1]
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            server.serve_forever(timeout=0.05, blocking=False, handle_exit=False)
        server.close_all()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        stop.set()
        thread.join(5)
