"""Files of models from a local folder and from a server on this machine."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from made.pretrained import COMMIT, block, network, public
from nnrobust.errors import FetchError
from nnrobust.models import fetch as models_fetch
from nnrobust.models.fetch import fetch_model, located


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if len(self.server.asked) <= self.server.n_broken:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(200 if self.server.content else 404)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    pytest.importorskip("gdown")
    one = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.asked, one.content, one.n_broken = [], b"", 0
    thread = threading.Thread(target=one.serve_forever)
    thread.start()
    monkeypatch.setattr(
        models_fetch, "RAW", f"http://127.0.0.1:{one.server_address[1]}/{{repository}}/{{commit}}/{{path}}"
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


@pytest.fixture
def published(tmp_path):
    torch.save(network().state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_a_file_comes_from_its_commit_in_the_public_repository(server, published, tmp_path):
    server.content = published.read_bytes()
    path = fetch_model(public(published), tmp_path / "out")
    assert path.read_bytes() == server.content
    assert server.asked == [f"/someone/nets/{COMMIT}/weights/net.pt"]


def test_a_connection_that_breaks_twice_is_tried_again_after_pauses(server, published, tmp_path):
    server.content, server.n_broken, pauses = published.read_bytes(), 2, []
    path = fetch_model(public(published), tmp_path / "out", sleep=pauses.append)
    assert path.read_bytes() == server.content
    assert pauses == [1.0, 4.0]


def test_a_file_that_is_there_is_not_fetched_again(server, published, tmp_path):
    server.content = published.read_bytes()
    for _ in range(2):
        fetch_model(public(published), tmp_path / "out")
    assert len(server.asked) == 1


@pytest.mark.parametrize("content", [b"another file", b""], ids=["another", "none"])
def test_another_file_is_refused_and_nothing_of_it_stays(server, published, tmp_path, content):
    server.content = content
    expected = "expected sha256 .*, got .*" if content else "status 404: .*"
    with pytest.raises(
        FetchError,
        match=f"mine: .*{expected}; get weights/net.pt of github:someone/nets at commit {COMMIT}.* zoo.local_dir",
    ):
        fetch_model(public(published), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("place", ["net.pt", "nets/net.pt", "weights/net.pt"])
def test_a_file_is_found_in_a_local_folder_in_that_of_its_repository_and_at_its_path(published, tmp_path, place):
    model, local = public(published), tmp_path / "local"
    (local / place).parent.mkdir(parents=True)
    (local / place).write_bytes(published.read_bytes())
    assert located(model, local) == local / place
    assert fetch_model(model, tmp_path / "out", local).read_bytes() == published.read_bytes()


def test_a_missing_file_is_named_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(
        FetchError, match=f"mine: expected its file at {tmp_path}/mine.pt or .*, found neither; place it there"
    ):
        located(block(), tmp_path)


def test_the_hash_is_compared_before_anything_is_loaded(published):
    model = public(published)
    published.write_bytes(b"changed")
    with pytest.raises(FetchError, match=f"mine: .*net.pt: expected sha256 {model.sha256}, got"):
        located(model, published.parent)
