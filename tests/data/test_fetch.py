"""Downloads from a server on this machine: whole, cut short, refused, slow to come."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import phistar as ph
from phistar.data import fetch
from phistar.data.fetch import Line, check_sum, digest, download

CONTENT = bytes(range(256)) * 1000
ANSWERS = {"/whole": (200, 0), "/short": (200, 100), "/gone": (404, 0), "/broken": (503, 0)}


class Answer(BaseHTTPRequestHandler):
    """Answers with a status, and too little content if so asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, lacking = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) - lacking])

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Answer.asked = []
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_whole(address: str) -> None:
    assert download(f"{address}/whole", "whole") == CONTENT


@pytest.mark.parametrize(
    ("path", "reason", "tries"),
    [
        ("/short", "it ended after 255,900 of 256,000 bytes", 2),
        ("/gone", "404 Not Found", 1),
        ("/broken", "503 Service Unavailable", 2),
    ],
)
def test_failures(address: str, path: str, reason: str, tries: int) -> None:
    with pytest.raises(ph.DataError, match=f"{path} could not be fetched: .*{reason}"):
        download(address + path, "file")
    assert len(Answer.asked) == tries


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 1.0)
    with pytest.raises(ph.DataError, match=r"could not be fetched: .*refused"):
        download("http://127.0.0.1:9/x", "x")


def test_check_sum() -> None:
    check_sum(b"abc", "md5", "900150983cd24fb0d6963f7d28e17f72", "abc")
    with pytest.raises(ph.DataError, match=r"x is not what was expected: its md5 is 9001"):
        check_sum(b"abc", "md5", "00", "x")
    assert digest(b"abc", "sha256").startswith("ba7816bf")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_line() -> None:
    terminal = Terminal()
    line = Line("file.gz", 2_000_000, terminal)
    line.show(500_000)
    line.show(2_000_000)
    line.clear()
    lines = terminal.getvalue().split("\r")
    assert lines == ["", "file.gz  0.5 / 2.0 MB", "file.gz  2.0 / 2.0 MB", " " * 21, ""]


def test_no_line_off_a_terminal() -> None:
    stream = io.StringIO()
    line = Line("file.gz", None, stream)
    line.show(1)
    line.clear()
    assert stream.getvalue() == ""
