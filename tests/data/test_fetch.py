"""Downloads from a server on this machine: whole, cut short, refused, slow, gone on with."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import phistar as ph
from phistar.data import fetch, partial
from phistar.data.fetch import Line, check_sum, digest, download
from phistar.data.partial import Content, part_of

CONTENT = bytes(range(256)) * 1000
OTHER = bytes(reversed(range(256))) * 1000
ANSWERS = {"/whole": (200, 0), "/short": (200, 100), "/gone": (404, 0), "/broken": (503, 0)}
MOST = 100_000  # bytes that a server which breaks off sends at a time


class Answer(BaseHTTPRequestHandler):
    """Answers by the path: each a server of another kind."""

    asked: list[str]
    ranges: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.ranges.append(self.headers.get("Range", ""))
        getattr(self, self.path[1:], self.simple)()

    def simple(self) -> None:
        status, lacking = ANSWERS[self.path]
        self.send(status, CONTENT, len(CONTENT) - lacking)

    def send(self, status: int, content: bytes, sent: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content[:sent])

    def ranged(self, content: bytes, etag: str, total: int | None = None) -> None:
        """Gives parts of at most MOST bytes, of a content that an ETag names, if it has one."""
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range", etag)
        named = {"ETag": etag} if etag else {}
        if not asked or condition != etag:
            return self.send(200, content, MOST, **named)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return self.send(416, b"", 0)
        where = f"bytes {start}-{len(content) - 1}/{total or len(content)}"
        return self.send(206, content[start:], MOST, Content_Range=where, **named)

    def breaking(self) -> None:
        """Breaks off again and again."""
        self.ranged(CONTENT, '"one"')

    def dated(self) -> None:
        self.ranged(CONTENT, "")

    def changed(self) -> None:
        """Has other content from the second request on."""
        first = len(self.asked) == 1
        self.ranged(CONTENT if first else OTHER, '"one"' if first else '"two"')

    def grown(self) -> None:
        """Has other content, longer, and says nothing of it but its length."""
        self.ranged(CONTENT, "", None if len(self.asked) == 1 else len(CONTENT) + 1)

    def strange(self) -> None:
        """Answers with a range that is none."""
        if "Range" in self.headers:
            return self.send(206, CONTENT, 5, Content_Range="some of it")
        return self.send(200, CONTENT, MOST)

    def busy(self) -> None:
        """Fails once, then answers."""
        self.send(500 if len(self.asked) == 1 else 200, CONTENT, len(CONTENT))

    def partless(self) -> None:
        """Breaks off once, and gives no parts."""
        self.send(200, CONTENT, MOST if len(self.asked) == 1 else len(CONTENT))

    def stalled(self) -> None:
        """Says nothing for longer than one waits, and then stays."""
        if len(self.asked) < 3:
            self.send(200, CONTENT, 10)
            time.sleep(0.6)
        else:
            self.ranged(CONTENT, "")

    def lengthless(self) -> None:
        """Does not say how much there is."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def slow(self) -> None:
        """The first half at once, the other half after a while; whole for who goes on."""
        if "Range" in self.headers:
            return self.whole_range()
        self.send(200, CONTENT, MOST, ETag='"one"')
        self.wfile.flush()
        time.sleep(2)
        self.wfile.write(CONTENT[MOST:])

    def whole_range(self) -> None:
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        where = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        self.send(206, CONTENT[start:], len(CONTENT), Content_Range=where, ETag='"one"')

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Clients that hang up are no news."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("PHISTAR_OFFLINE")
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    Answer.asked, Answer.ranges = [], []
    with Server(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_whole(address: str) -> None:
    assert download(f"{address}/whole", "whole") == CONTENT
    assert list(part_of(address).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "reason", "tries"),
    [
        ("/short", r"it ended after 255,900 of 256,000 bytes \(255,900 bytes are kept\)", 2),
        ("/gone", "404 Not Found", 1),
        ("/broken", "503 Service Unavailable", 2),
    ],
)
def test_failures(address: str, path: str, reason: str, tries: int) -> None:
    with pytest.raises(ph.DataError, match=f"{path} could not be fetched: .*{reason}$"):
        download(address + path, "file")
    assert len(Answer.asked) == tries


@pytest.mark.parametrize(
    ("path", "content", "ranges"),
    [
        ("/breaking", CONTENT, ["", "bytes=100000-", "bytes=200000-"]),
        ("/dated", CONTENT, ["", "bytes=100000-", "bytes=200000-"]),
        ("/changed", OTHER, ["", "bytes=100000-", "bytes=100000-", "bytes=200000-"]),
        ("/busy", CONTENT, ["", ""]),
        ("/partless", CONTENT, ["", "bytes=100000-"]),
        ("/lengthless", CONTENT, [""]),
    ],
)
def test_every_kind_of_server(address: str, path: str, content: bytes, ranges: list[str]) -> None:
    assert download(address + path, "file") == content
    assert Answer.ranges == ranges


def test_content_that_changes_without_a_word(address: str) -> None:
    with pytest.raises(ph.DataError, match="its content changed while it was fetched"):
        download(f"{address}/grown", "file")


def test_a_range_that_is_none(address: str) -> None:
    with pytest.raises(ph.DataError, match="it answered with the range 'some of it' of ''"):
        download(f"{address}/strange", "file")


def test_time_limit(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.2)
    with pytest.raises(ph.DataError, match=r"stalled could not be fetched: timed out"):
        download(f"{address}/stalled", "file")
    assert download(f"{address}/stalled", "file") == CONTENT  # goes on
    assert Answer.ranges[2] == "bytes=10-"


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 7])
def test_all_was_here_already(address: str, length: int) -> None:
    """Stopped after the last byte; or the content is shorter now."""
    keep(f"{address}/breaking", bytes(length), Content('"one"', length))
    assert download(f"{address}/breaking", "file") == CONTENT
    assert Answer.ranges[0] == f"bytes={length}-"


def keep(url: str, data: bytes, content: Content) -> Path:
    """Leave a part, as an earlier process would."""
    with partial.partial(url) as part:
        part.begin(content)
        part.append(data)
    return part_of(url)


def test_a_damaged_note(address: str) -> None:
    path = keep(f"{address}/breaking", b"other", Content('"one"', len(CONTENT)))
    path.with_name(path.name + ".json").write_text("{")
    assert download(f"{address}/breaking", "file") == CONTENT
    assert Answer.ranges[0] == ""


FETCH = """
import sys
from phistar.data.fetch import download
sys.stdout.write(str(hash(download(sys.argv[1], "file") == bytes(range(256)) * 1000)))
"""


def start_process(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_download_goes_on(address: str) -> None:
    url = f"{address}/slow"
    process = start_process(url)
    try:
        until(lambda: part_of(url).exists() and part_of(url).stat().st_size == MOST)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert download(url, "file") == CONTENT
    assert Answer.ranges == ["", "bytes=100000-"]


def test_processes_do_not_disturb_each_other(address: str) -> None:
    url = f"{address}/slow"
    processes = [start_process(url) for _ in range(3)]
    assert [p.communicate()[0] for p in processes] == ["1", "1", "1"]
    assert [p.returncode for p in processes] == [0, 0, 0]
    assert list(part_of(url).parent.iterdir()) == []


def until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("lack", ["locks", "room"])
def test_without_locks_or_room(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lack: str
) -> None:
    """Then nothing is kept, but a download goes on within itself."""
    if lack == "locks":
        monkeypatch.setattr(partial, "fcntl", None)
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "file"))
    assert download(f"{address}/breaking", "file") == CONTENT
    assert Answer.ranges == ["", "bytes=100000-", "bytes=200000-"]


def test_a_part_that_was_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner had all of it just before we had the lock."""
    path = tmp_path / "x.part"
    plain = partial.lock

    def late(file: Any) -> bool:
        monkeypatch.setattr(partial, "lock", plain)
        path.unlink()
        return plain(file)

    monkeypatch.setattr(partial, "lock", late)
    file = partial.claim(path)
    assert file is not None and partial.names(path, file)
    file.close()


def test_offline(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    with pytest.raises(ph.DataError, match="/whole was not fetched: PHISTAR_OFFLINE is set"):
        download(f"{address}/whole", "file")
    assert Answer.asked == []


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHISTAR_OFFLINE")
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
