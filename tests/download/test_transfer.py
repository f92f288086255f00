"""A file arrives whole or not at all, whatever the server does."""

import hashlib
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from web import Page, Web, breaks_after, claims, leads_to, waits

from melanoma_exp.download import client as client_module
from melanoma_exp.download import transfer
from melanoma_exp.download.client import Client
from melanoma_exp.download.sources import Remote
from melanoma_exp.spec import UserError

BODY = random.Random(0).randbytes(300_000)
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def client(said: list[str]) -> Client:
    return Client(said.append)


def remote(server: Web, **changes: object) -> Remote:
    server.pages.setdefault("/file", Page(BODY))
    given = {"name": "file.bin", "url": f"{server.url}/file", "bytes": None, "digest": None}
    given |= {"unpack_to": None, "strip": None, "helper": False}
    return Remote(**{**given, **changes})


def refused(client: Client, asked: Remote, target: Path) -> str:
    with pytest.raises(UserError) as error:
        transfer.save(client, asked, target, lambda _: None)
    (line,) = error.value.lines
    assert not target.exists(), "a file that is not whole has the final name"
    return line


def test_a_broken_connection_goes_on_where_it_broke(server, client, said, tmp_path):
    server.faults["/file"] = [breaks_after(100_000), breaks_after(50_000)]
    moved: list[int] = []
    saved = transfer.save(client, remote(server), tmp_path / "file.bin", moved.append)
    assert (tmp_path / "file.bin").read_bytes() == BODY and saved.bytes == len(BODY)
    assert saved.sha256 == hashlib.sha256(BODY).hexdigest() and sum(moved) == len(BODY)
    assert server.ranges("/file") == ["", "bytes=100000-", "bytes=150000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]
    assert len(said) == 2 and "the connection broke" in said[0]


def test_it_goes_on_in_the_next_process_too(server, client, tmp_path):
    target, asked = tmp_path / "file.bin", remote(server)
    server.faults["/file"] = [breaks_after(100_000), *[404]]
    refused(client, asked, target)
    assert transfer.already(target) == 100_000
    transfer.save(Client(print), asked, target, lambda _: None)
    assert target.read_bytes() == BODY and server.ranges("/file")[-1] == "bytes=100000-"


def test_another_file_at_the_address_is_fetched_from_its_beginning(server, client, tmp_path):
    target, asked = tmp_path / "file.bin", remote(server)
    server.faults["/file"] = [breaks_after(100_000), 404]
    refused(client, asked, target)
    other = BODY[::-1]
    server.pages["/file"] = Page(other, tag='"2"')
    transfer.save(client, asked, target, lambda _: None)
    assert target.read_bytes() == other


def test_a_part_that_nothing_can_check_is_not_gone_on_with(server, client, tmp_path):
    server.pages["/file"] = Page(BODY, tag="")
    server.faults["/file"] = [breaks_after(100_000)]
    transfer.save(client, remote(server), tmp_path / "a", lambda _: None)
    assert server.ranges("/file") == ["", ""]
    server.faults["/file"] = [breaks_after(100_000)]
    transfer.save(client, remote(server, digest=MD5), tmp_path / "b", lambda _: None)
    assert server.ranges("/file")[2:] == ["", "bytes=100000-"]


def test_a_server_without_ranges_sends_it_whole_again(server, client, tmp_path):
    server.pages["/file"] = Page(BODY, ranges=False)
    server.faults["/file"] = [breaks_after(100_000)]
    transfer.save(client, remote(server), tmp_path / "file.bin", lambda _: None)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert transfer.ask(client, remote(server)).bytes == len(BODY)


def test_all_that_arrived_before_a_kill_is_renamed_without_another_byte(server, client, tmp_path):
    target, asked = tmp_path / "file.bin", remote(server)
    server.faults["/file"] = [breaks_after(len(BODY) - 1), 404]
    refused(client, asked, target)
    part = tmp_path / ".file.bin.part"
    part.write_bytes(BODY)
    transfer.save(client, asked, target, lambda _: None)
    assert target.read_bytes() == BODY and not part.exists()


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_server_errors_are_tried_again_and_given_up_in_the_end(server, client, tmp_path, code):
    server.faults["/file"] = [code] * (client_module.TRIES - 1)
    transfer.save(client, remote(server), tmp_path / "a", lambda _: None)
    server.faults["/file"] = [code] * client_module.TRIES
    line = refused(client, remote(server), tmp_path / "b")
    assert f"the server answers {code}" in line and "type the same command again" in line
    assert not server.faults["/file"], "it tried more or less often"


def test_it_waits_as_long_as_the_server_asks(server, client, said, tmp_path):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    server.faults["/file"] = [waits("0.05"), waits(later), waits("soon")]
    transfer.save(client, remote(server), tmp_path / "a", lambda _: None)
    assert "429 Too Many Requests; waiting 0 s" in said[0]
    assert len(said) == 3
    server.faults["/file"] = [waits("86400")]
    line = refused(client, remote(server), tmp_path / "b")
    assert "it asks to wait 86400 s" in line


@pytest.mark.parametrize("code", [202, 401, 403, 404, 410])
def test_a_refusal_is_not_tried_again(server, client, said, tmp_path, code):
    server.faults["/file"] = [code, code]
    assert f"{server.url}/file: the server answers {code}" in refused(
        client, remote(server), tmp_path / "a"
    )
    assert len(server.faults["/file"]) == 1 and not said


def test_lengths_that_are_no_truth(server, client, tmp_path):
    server.faults["/file"] = [claims(len(BODY) + 5)] * client_module.TRIES
    assert "gave up after 6 tries" in refused(client, remote(server), tmp_path / "a")
    server.faults["/file"] = [claims(100, ETag='"1"')]
    line = refused(client, remote(server, bytes=len(BODY)), tmp_path / "b")
    assert "has 100 bytes, file.bin should have 300000" in line
    server.pages["/file"] = Page(BODY + b"more")
    with pytest.raises(UserError, match="has 300004 bytes, file.bin should have 300000"):
        transfer.ask(client, remote(server, bytes=len(BODY)))
    server.faults["/file"] = [claims(None)]  # type: ignore[arg-type]
    assert "sends more than the 300000 bytes" in refused(
        client, remote(server, bytes=len(BODY)), tmp_path / "c"
    )
    server.pages["/file"] = Page(BODY[:1000])
    server.faults["/file"] = [claims(None)] * 9  # type: ignore[arg-type]
    line = refused(client, remote(server, bytes=len(BODY)), tmp_path / "d")
    assert "the connection ended at byte 1000 of 300000" in line


def test_a_wrong_checksum_removes_the_file_and_the_next_call_fetches_it_anew(
    server, client, tmp_path
):
    server.pages["/file"] = Page(BODY[:-1] + b"?")
    line = refused(client, remote(server, digest=MD5), tmp_path / "a")
    assert line.startswith("a: has the md5 ") and "it is removed" in line
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))
    server.pages["/file"] = Page(BODY)
    transfer.save(client, remote(server, digest=MD5), tmp_path / "a", lambda _: None)
    (tmp_path / "a").write_bytes(b"changed since")
    assert "a: has the md5" in refused(client, remote(server, digest=MD5), tmp_path / "a")


def test_a_web_page_is_no_file(server, client, tmp_path):
    server.pages["/file"] = Page(b"\n<!doctype html><p>Log in")
    assert "gives a web page instead of file.bin" in refused(client, remote(server), tmp_path / "a")
    server.pages["/file"] = Page(b"Log in", kind="text/html; charset=utf-8")
    with pytest.raises(UserError, match="gives a web page"):
        transfer.ask(client, remote(server))
    server.pages["/file"] = Page(b"\xff\xd8\xff\xe0 a picture")
    line = refused(client, remote(server, unpack_to="."), tmp_path / "b")
    assert "gives something else instead of file.bin" in line


def test_a_file_that_is_packed_on_its_way_is_refused(server, client, tmp_path):
    server.faults["/file"] = [claims(len(BODY), Content_Encoding="gzip")]
    assert "packs the file on its way (gzip)" in refused(client, remote(server), tmp_path / "a")


def test_redirects_lead_to_web_servers_alone_and_never_in_a_circle(server, client, tmp_path):
    server.pages["/there"] = Page(BODY)
    server.faults["/file"] = [leads_to("/there")]
    transfer.save(client, remote(server), tmp_path / "a", lambda _: None)
    other = server.url.replace("127.0.0.1", "localhost")
    server.faults["/file"] = [leads_to(f"{other}/there")]
    transfer.save(client, remote(server), tmp_path / "b", lambda _: None)
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "https:///x"):
        server.faults["/file"] = [leads_to(place)]
        line = refused(client, remote(server), tmp_path / "c")
        assert f"leads to {place}, which is no address of a web server" in line
    server.faults["/file"] = [leads_to("/file")] * 20
    assert "more than 10 times" in refused(client, remote(server), tmp_path / "d")


def test_an_encrypted_address_never_leads_to_an_open_one(server, client):
    server.pages["/x"] = Page(b"{}")
    with pytest.raises(UserError, match="is not encrypted; nothing was fetched"):
        client.content(f"{server.url}/x", 100, origin="https://api.example.org/")
    assert server.asked == []
    assert client.content(f"{server.url}/x", 100, origin="http://127.0.0.1/") == b"{}"


def test_no_password_and_no_cookie_is_sent(server, client, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[str | None] = []

    def look(handler, page):
        seen.extend([handler.headers["Authorization"], handler.headers["Cookie"]])
        handler.head(200, len(page.body), {"Set-Cookie": "a=b"})
        handler.wfile.write(page.body)

    server.pages["/x"] = Page(b"{}")
    server.faults["/x"] = [look, look]
    for _ in range(2):
        client.content(f"{server.url}/x", 100)
    assert seen == [None] * 4


def test_a_server_that_is_not_there(server, client, tmp_path):
    asked = remote(server, url="http://127.0.0.1:9/file")
    line = refused(client, asked, tmp_path / "a")
    assert line.startswith("http://127.0.0.1:9/file: cannot be reached (") and "refused" in line
    with pytest.raises(UserError, match="sends more than the 10 bytes"):
        remote(server)
        client.content(f"{server.url}/file", 10)
