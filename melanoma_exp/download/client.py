"""Requests over HTTP that survive what servers and networks do.

Every request may be repeated: after a broken connection, a server error or `429 Too Many Requests`,
with longer waits each time or as long as the server asks. A redirect never leads from https to an
address that is read by others on the way, nor to anything but a web server; no password and no
cookie is ever sent.
"""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

import melanoma_exp
from melanoma_exp.download import failures
from melanoma_exp.download.failures import RefusedError, TransientError, reason
from melanoma_exp.spec import UserError

T = TypeVar("T")
TRIES = 6  # in a row without progress
PATIENCE = 900.0  # seconds that a server may ask to wait
TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two pieces
REDIRECTS = 10
CHUNK = 1 << 16  # bytes; what has arrived of one is lost when the connection breaks
# Not every OSError: a full disk is none of them.
BROKEN = (requests.RequestException, HTTPError, ConnectionError, TimeoutError, ssl.SSLError)
AGAIN = (408, 425, 429, 500, 502, 503, 504)


class Client:
    """Asks servers; several threads may use it at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Prepares the client.

        Args:
            say: Called with a line that says why it waits.
        """
        self._say = say
        self._local = threading.local()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ends the waits of all threads: nothing is tried again."""
        self._stopped.set()

    def content(self, url: str, most: int, origin: str = "") -> bytes:
        """Returns a small file whole.

        Args:
            url: Its address.
            most: Bytes that it may hold.
            origin: The address that named this one, "" where the table of sources did.

        Raises:
            UserError: The server does not give it, or it is larger.
        """

        def once() -> bytes:
            with self.opened(url, origin=origin) as answer:
                pieces, size = [], 0
                for piece in self.pieces(answer):
                    size += len(piece)
                    if size > most:
                        raise UserError(f"{url}: sends more than the {most} bytes that it may")
                    pieces.append(piece)
                return b"".join(pieces)

        return self.retried(url, once)

    def retried(self, url: str, once: Callable[[], T], progress: Callable[[], int] = int) -> T:
        """Does something until it succeeds, or has failed too often.

        Args:
            url: For messages.
            once: Does it, or raises `TransientError`.
            progress: Gives a number that grows with what was done: tries are counted anew then.

        Raises:
            UserError: It has failed too often, or the server asks to wait for too long.
        """
        tries, before = 0, progress()
        while True:
            try:
                return once()
            except TransientError as error:
                if progress() > before:
                    tries, before = 0, progress()
                tries += 1
                wait = error.wait if error.wait is not None else failures.wait(tries)
                if tries >= TRIES or wait > PATIENCE or self._stopped.is_set():
                    asked = f"; it asks to wait {wait:.0f} s" if error.wait else ""
                    raise UserError(
                        f"{url}: {error}{asked}; gave up after {tries} "
                        f"{'try' if tries == 1 else 'tries'}: type the same command again later, "
                        "what was fetched is kept"
                    ) from None
                self._say(f"{_host(url)}: {error}; waiting {wait:.0f} s (try {tries} of {TRIES})")
                self._stopped.wait(wait)

    @contextmanager
    def opened(
        self, url: str, headers: Mapping[str, str] | None = None, origin: str = ""
    ) -> Iterator[requests.Response]:
        """Opens an address and follows where it leads; the answer is 200, 206 or 416.

        Args:
            url: The address.
            headers: Further ones.
            origin: As of `content`.

        Raises:
            TransientError: It may work at the next try.
            UserError: It will not.
        """
        answer = self._follow(url, dict(headers or {}), origin)
        try:
            yield answer
        except BROKEN as error:
            raise TransientError(f"the connection broke ({reason(error)})") from None
        finally:
            answer.close()

    @staticmethod
    def pieces(answer: requests.Response) -> Iterator[bytes]:
        """Yields the body of an opened answer as it comes, unpacked by nobody."""
        yield from answer.raw.stream(CHUNK, decode_content=False)

    def _follow(self, url: str, headers: dict[str, str], origin: str) -> requests.Response:
        here, before = url, origin or url
        for _ in range(REDIRECTS):
            _check_address(here, before)
            answer = self._get(here, headers)
            if not answer.is_redirect:
                return _checked(answer, url)
            answer.close()
            before, here = here, urljoin(here, answer.headers["Location"])
        raise UserError(f"{url}: leads from one address to the next more than {REDIRECTS} times")

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = f"melanoma_exp/{melanoma_exp.__version__}"
            # Packed on the way, lengths and ranges would be those of another file.
            session.headers["Accept-Encoding"] = "identity"
            session.auth = _no_password
        session.cookies.clear()
        try:
            return session.get(
                url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise UserError(f"{url}: is no address of a web server: {error}") from None
        except requests.exceptions.SSLError as error:
            raise UserError(
                f"{url}: its certificate is not accepted ({reason(error)}); where a proxy has one "
                "of its own, name it: REQUESTS_CA_BUNDLE=FILE"
            ) from None
        except BROKEN as error:
            raise TransientError(f"cannot be reached ({reason(error)})") from None


def _checked(answer: requests.Response, url: str) -> requests.Response:
    """Returns an answer that gives what was asked for.

    Raises:
        TransientError: It may do so at the next try.
        UserError: It will not.
    """
    code = answer.status_code
    packed = answer.headers.get("Content-Encoding", "identity").lower()
    if code in (200, 206, 416) and packed in ("", "identity"):
        return answer
    answer.close()
    said = f"the server answers {code} {answer.reason or ''}".strip()
    if code in AGAIN:
        raise TransientError(said, failures.asked_to_wait(answer.headers.get("Retry-After")))
    if code in (200, 206, 416):
        raise UserError(f"{url}: the server packs the file on its way ({packed}), unasked")
    moved = code in (404, 410)
    advice = "the address may have changed" if moved else "it gives it to no program, or not to you"
    raise RefusedError(f"{url}: {said}: {advice}", code)


def _check_address(url: str, before: str) -> None:
    """Refuses an address that is no web server's, or less guarded than the one that named it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{before}: leads to {url}, which is no address of a web server")
    if parts.scheme == "http" and urlsplit(before).scheme == "https":
        raise UserError(f"{before}: leads to {url}, which is not encrypted; nothing was fetched")


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sends no password: without this, those of ~/.netrc are sent."""
    return request


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
