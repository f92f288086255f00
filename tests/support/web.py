"""A real web server on this machine that misbehaves as it is told."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Page:
    """What is at an address.

    Attributes:
        body: It.
        tag: Its ETag, "" for none.
        kind: Its Content-Type.
        ranges: Whether pieces may be asked for.
    """

    body: bytes
    tag: str = '"1"'
    kind: str = "application/octet-stream"
    ranges: bool = True


@dataclass
class Web:
    """The server.

    Attributes:
        url: Its address, without a slash at the end.
        pages: By path.
        faults: By path what goes wrong at the next requests of bodies, one after the other: a
            number is answered, a function gets the handler and the page.
        asked: Every request: path, and the range that was asked for.
        answers: By path what gives the page of a query.
    """

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    faults: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, Callable[[dict[str, list[str]]], Page]] = field(default_factory=dict)

    def ranges(self, path: str) -> list[str]:
        """Returns the ranges that were asked for of a path, but for its first byte."""
        return [r for p, r in self.asked if p == path and r != "bytes=0-0"]


@contextmanager
def served() -> Iterator[Web]:
    """Gives a server that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            path, asked = urlsplit(self.path).path, self.headers.get("Range", "")
            web.asked.append((path, asked))
            faults = web.faults[path]
            fault = faults.pop(0) if faults and asked != "bytes=0-0" else None
            page = web.pages.get(path)
            if path in web.answers:
                page = web.answers[path](parse_qs(urlsplit(self.path).query))
            if isinstance(fault, int):
                self.head(fault, 0)
            elif fault is not None:
                fault(self, page)
            elif page is None:
                self.head(404, 0)
            else:
                self.give(page, asked)

        def give(self, page: Page, asked: str) -> None:
            size, validator = len(page.body), self.headers.get("If-Range", page.tag)
            headers = {"Content-Type": page.kind, **({"ETag": page.tag} if page.tag else {})}
            if asked and page.ranges and validator == page.tag:
                start, _, end = asked.removeprefix("bytes=").partition("-")
                if int(start) >= size:
                    return self.head(416, 0, {"Content-Range": f"bytes */{size}"})
                last = min(int(end or size - 1), size - 1)
                headers["Content-Range"] = f"bytes {start}-{last}/{size}"
                body = page.body[int(start) : last + 1]
                self.head(206, len(body), headers)
                self.wfile.write(body)
            else:
                self.head(200, size, headers)
                self.wfile.write(page.body)

        def head(
            self, code: int, length: int | None, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(code)
            if length is not None:
                self.send_header("Content-Length", str(length))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may go away
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def breaks_after(count: int) -> Callable[[Any, Page], None]:
    """Promises everything that was asked for and ends the connection after some bytes."""

    def fault(handler: Any, page: Page) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        size, headers = len(page.body), {"ETag": page.tag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        handler.head(206 if start else 200, size - start, headers)
        handler.wfile.write(page.body[start : start + count])
        handler.close_connection = True

    return fault


def waits(seconds: str) -> Callable[[Any, Page], None]:
    """Answers 429 and asks to wait."""
    return lambda handler, _: handler.head(429, 0, {"Retry-After": seconds})


def leads_to(address: str) -> Callable[[Any, Page], None]:
    """Redirects."""
    return lambda handler, _: handler.head(302, 0, {"Location": address})


def claims(length: int, **headers: str) -> Callable[[Any, Page], None]:
    """Sends the whole page with a wrong length, and further headers."""

    def fault(handler: Any, page: Page) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(200, length, named)
        handler.wfile.write(page.body)
        handler.close_connection = True

    return fault
