"""Files from a local folder and from a server on this machine; no test leaves it."""

import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from made.project import ROOT
from made.zoo import QUOTA_PAGE, import_zoo, write_tiny
from nnrobust.errors import FetchError
from nnrobust.zoo import fetch as zoo_fetch
from nnrobust.zoo.fetch import fetch
from nnrobust.zoo.files import fingerprint, recorded
from nnrobust.zoo.load import zoo_module
from nnrobust.zoo.models import LAYOUT, find

NAME = "Wong2020Fast"
FILE = f"{NAME}.pt"
XCIT = "Debenedetti2022Light_XCiT-S12"


class Server(ThreadingHTTPServer):
    """Answers the first request by the first of `answers`, and so on; the last one stays. `asked` has the paths."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = [], []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *_):
        pass


def answer(content, status=200, kind="application/octet-stream", announced=None):
    """An answer that announces as many bytes as it has, unless told otherwise."""

    def give(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(announced or len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return give


@pytest.fixture(autouse=True)
def loads(monkeypatch):
    """Small files load as well, in these tests of how files come here; the list has the models that were loaded."""
    loaded = []
    monkeypatch.setattr(zoo_fetch, "network_of", lambda model, folder: loaded.append(model.name))
    return loaded


@pytest.fixture
def server(monkeypatch):
    """A server in Google Drive's place."""
    import_zoo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setattr(zoo_fetch, "DRIVE", f"{server.address}/uc?id={{}}")
        yield server
        server.shutdown()


@pytest.fixture
def content(tmp_path):
    """The bytes of a whole checkpoint of 4 MB."""
    return write_tiny(tmp_path / "content.pt", n=1_000_000)


class Download:
    """Fetches `name` into `folder`, and keeps the pauses it makes."""

    def __init__(self, folder, name=NAME, local_dir=None):
        self.folder, self.model, self.local_dir, self.pauses = folder, find(name), local_dir, []
        self.lock = folder / "zoo.lock.json"

    def __call__(self, **options):
        self.pauses.clear()
        fetch(self.model, self.folder / "out", self.lock, self.local_dir, sleep=self.pauses.append, **options)

    @property
    def files(self):
        return {path.name: path.read_bytes() for path in (self.folder / "out").rglob("*") if path.is_file()}


def test_a_file_is_downloaded_by_robustbenchs_identifier_into_the_layout_of_load_model(server, tmp_path, content):
    server.answers = [answer(content)]
    download, shown = Download(tmp_path), []

    def progress(items, description):
        shown.append((len(items), description))
        return items

    download(progress=progress)
    assert server.asked == ["/uc?id=1Re--_lf3jCEw9bnQqGkjw3J7v2tSZKrv"]
    assert (tmp_path / "out" / "cifar10" / "Linf" / FILE).read_bytes() == content
    assert list(download.files) == [FILE]
    assert recorded(download.lock) == {FILE: fingerprint(tmp_path / "content.pt")}
    assert shown == [(4, f"{FILE}, MiB")]
    assert download.pauses == []


@pytest.mark.filterwarnings("ignore:Call to deprecated method findChildren:DeprecationWarning")
def test_google_drives_page_that_asks_for_a_confirmation_is_confirmed(server, tmp_path, content):
    page = (
        f'<html><form id="download-form" action="{server.address}/download" method="get">'
        '<input type="hidden" name="id" value="x"><input type="hidden" name="confirm" value="t"></form></html>'
    )
    server.answers = [answer(page.encode(), kind="text/html; charset=utf-8"), answer(content)]
    download = Download(tmp_path)
    download()
    assert server.asked[1] == "/download?id=x&confirm=t"
    assert download.files == {FILE: content}


def test_an_xcit_comes_from_the_address_that_robustbench_has_for_timm(server, tmp_path, content, monkeypatch):
    entries = zoo_module("robustbench.model_zoo.architectures.xcit").default_cfgs
    entry = entries["debenedetti2022light_xcit_s12_cifar10_linf"]
    assert entry["url"].startswith("https://github.com/RobustBench/robustbench/releases/")
    monkeypatch.setitem(entry, "url", f"{server.address}/xcit.pth.tar")
    server.answers = [answer(content)]
    download = Download(tmp_path, XCIT)
    download()
    assert server.asked == ["/xcit.pth.tar"]
    assert download.files == {f"{XCIT}.pt": content}


def broken_off(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def reset_in_the_middle(handler):
    answer(bytes(2_000_000), announced=4_000_000)(handler)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


@pytest.mark.parametrize(
    "trouble", ["status 503", "status 429", "cut off", "no answer", broken_off, reset_in_the_middle]
)
def test_trouble_that_passes_is_tried_again_after_a_pause(server, tmp_path, content, monkeypatch, trouble):
    monkeypatch.setattr(zoo_fetch, "TIMEOUT", (0.3, 0.3))
    bad = {
        "status 503": answer(b"busy", 503),
        "status 429": answer(b"slow down", 429),
        "cut off": answer(content[:2_000_000], announced=len(content)),
        "no answer": lambda _: time.sleep(0.6),
    }.get(trouble, trouble)
    server.answers = [bad, bad, answer(content)]
    download = Download(tmp_path)
    download()
    assert download.pauses == [1.0, 4.0]
    assert download.files == {FILE: content}


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize(
    ("give", "n_pauses", "expected"),
    [
        (answer(b"busy", 503), 3, "expected a file, got status 503 in 4 attempts: trouble of the server's own"),
        (answer(b"<html>Not Found", 404, "text/html"), 0, "expected a file, got status 404: the server does not know its identifier"),
        (answer(QUOTA_PAGE, 200, "text/html"), 0, "got a page of Google Drive's in its place .quota used up, or .*: Too many users"),
        (answer(QUOTA_PAGE, 429, "text/html"), 0, "got a page of Google Drive's in its place .quota used up, or .*: Too many users"),
        (answer(b"<html>nothing", 200, "text/html"), 0, "got a page of Google Drive's .*: Cannot retrieve the public link of the file"),
        (answer(QUOTA_PAGE), 0, "expected a checkpoint, got an HTML page"),
        (answer(b"PK\x03\x04" + bytes(2_000_000), announced=9_000_000), 3, "expected a whole file, got one that was cut off in 4 attempts"),
        (answer(b"PK\x03\x04" + bytes(2_000_000)), 0, "expected a whole zip file, got one that is cut off"),
        (lambda _: time.sleep(0.5), 3, "expected an answer in time, got none in 4 attempts"),
    ],
    ids=["busy", "unknown", "quota", "quota with status 429", "no file", "page as file", "short", "truncated", "silent"],
)  # fmt: skip
def test_a_download_that_fails_says_model_cause_and_remedy(server, tmp_path, monkeypatch, give, n_pauses, expected):
    monkeypatch.setattr(zoo_fetch, "TIMEOUT", (0.2, 0.2))
    server.answers = [give]
    download = Download(tmp_path)
    with pytest.raises(
        FetchError, match=f"(?s){NAME}: {FILE}: .*{expected}.*; .*place it as {FILE} in a folder, .*zoo.local_dir"
    ):
        download()
    assert download.pauses == [1.0, 4.0, 16.0][:n_pauses]
    assert download.files == {}
    assert not download.lock.exists()


@pytest.mark.parametrize("name", [NAME, XCIT])
def test_without_a_network_a_fetch_says_so(tmp_path, monkeypatch, name):
    import_zoo()
    monkeypatch.setattr(zoo_fetch, "DRIVE", f"http://127.0.0.1:{closed_port()}/uc?id={{}}")
    entry = zoo_module("robustbench.model_zoo.architectures.xcit").default_cfgs[
        "debenedetti2022light_xcit_s12_cifar10_linf"
    ]
    monkeypatch.setitem(entry, "url", f"http://127.0.0.1:{closed_port()}/xcit")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    download = Download(tmp_path, name)
    with pytest.raises(
        FetchError, match=f"{name}: {name}.pt: expected a connection, got none in 4 attempts: no network.*place it"
    ):
        download()
    assert len(download.pauses) == 3


def test_a_model_that_is_not_in_the_local_folder_is_named(tmp_path):
    with pytest.raises(
        FetchError, match=rf"{NAME}: expected {tmp_path}/{FILE} or {tmp_path / LAYOUT}/{FILE} .zoo.local_dir."
    ):
        Download(tmp_path, local_dir=tmp_path)()


def test_a_local_folder_may_have_robustbenchs_own_layout(tmp_path, content):
    (tmp_path / "local" / LAYOUT).mkdir(parents=True)
    shutil.move(tmp_path / "content.pt", tmp_path / "local" / LAYOUT / FILE)
    download = Download(tmp_path, local_dir=tmp_path / "local")
    download()
    assert download.files == {FILE: content}


def half_of_a_zip(content):
    return content[: len(content) // 2]


def a_thousandth(content):
    return content[: len(content) // 1000]


def empty(content):
    return b""


def a_page(content):
    return QUOTA_PAGE


def damaged_inside(content):
    return content[:2_000_000] + bytes(4096) + content[2_004_096:]


@pytest.mark.parametrize(
    ("spoil", "is_legacy", "expected"),
    [
        (half_of_a_zip, False, "expected a whole zip file, got one that is cut off"),
        (a_thousandth, False, "expected a checkpoint of at least 1,000,000 bytes, got 4,001"),
        (half_of_a_zip, True, "got one that cannot be read, cut off or damaged .unexpected EOF"),
        (empty, False, "expected a checkpoint of at least 1,000,000 bytes, got 0"),
        (a_page, False, "expected a checkpoint, got an HTML page"),
        (damaged_inside, False, "expected a whole zip file, got one whose part .* is damaged"),
        (damaged_inside, True, "expected sha256 .*, got sha256"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)  # fmt: skip
def test_a_bad_file_in_the_local_folder_is_refused_and_nothing_of_it_stays(tmp_path, spoil, is_legacy, expected):
    local = tmp_path / "local"
    local.mkdir()
    content = write_tiny(local / FILE, n=1_000_000, is_legacy=is_legacy)
    if "sha256" in expected:
        Download(tmp_path, local_dir=local)()
        shutil.rmtree(tmp_path / "out")
    before = recorded(tmp_path / "zoo.lock.json")
    (local / FILE).write_bytes(spoil(content))
    download = Download(tmp_path, local_dir=local)
    with pytest.raises(FetchError, match=f"{NAME}: {FILE}: .*{expected}.*zoo.local_dir"):
        download()
    assert download.files == {}
    assert recorded(download.lock) == before


@pytest.mark.parametrize("is_local", [True, False])
def test_hashes_known_in_advance_are_compared_at_the_first_fetch(server, tmp_path, content, is_local):
    (tmp_path / "content.pt").rename(tmp_path / FILE)
    server.answers = [answer(content)]
    download = Download(tmp_path, local_dir=tmp_path if is_local else None)
    shutil.copy(ROOT / "models" / "zoo.lock.json", download.lock)
    with pytest.raises(FetchError, match=f"{NAME}: {FILE}: expected sha256 597407679d21.*, got sha256"):
        download()
    assert download.files == {}


def test_a_file_that_is_there_as_recorded_is_not_brought_again_and_another_one_is(server, tmp_path, content):
    server.answers = [answer(content)]
    download = Download(tmp_path)
    download()
    download()
    assert len(server.asked) == 1
    (path,) = (tmp_path / "out").rglob(FILE)
    path.write_bytes(content[:-1])
    download()
    assert len(server.asked) == 2
    assert download.files == {FILE: content}


def test_an_ensemble_goes_on_with_the_member_that_was_missing(server, tmp_path, content):
    download = Download(tmp_path, "Chen2020Adversarial")
    server.answers = [answer(content), answer(content), answer(b"gone", 404)]
    with pytest.raises(FetchError, match=r"Chen2020Adversarial: Chen2020Adversarial.pt_m2.pt: .* status 404"):
        download()
    assert sorted(download.files) == ["Chen2020Adversarial.pt_m0.pt", "Chen2020Adversarial.pt_m1.pt"]
    server.answers = [answer(content)]
    download()
    assert len(server.asked) == 4
    assert len(download.files) == 3


def test_files_that_do_not_load_are_neither_kept_nor_recorded(server, tmp_path, content, monkeypatch):
    def refuse(model, folder):
        raise FetchError(f"{model.name}: another layout")

    server.answers = [answer(content)]
    download = Download(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(zoo_fetch, "network_of", refuse)
        with pytest.raises(FetchError, match="another layout"):
            download()
    assert download.files == {}
    assert not download.lock.exists()
    download()
    assert recorded(download.lock) == {FILE: fingerprint(tmp_path / "content.pt")}


def test_members_of_an_ensemble_that_do_not_load_together_are_brought_again(
    server, tmp_path, content, loads, monkeypatch
):
    download = Download(tmp_path, "Chen2020Adversarial")
    server.answers = [answer(content), answer(b"gone", 404)]
    with pytest.raises(FetchError, match="status 404"):
        download()

    def fit_once_all_are_new(model, folder):
        if len(server.asked) < 5:
            raise FetchError("another layout")

    monkeypatch.setattr(zoo_fetch, "network_of", fit_once_all_are_new)
    server.answers = [answer(content)]
    download()
    assert len(server.asked) == 5
    assert len(recorded(download.lock)) == 3


def test_the_files_behind_a_link_are_left_as_they_are(server, tmp_path, content):
    behind = tmp_path / "behind"
    (behind / LAYOUT).mkdir(parents=True)
    for i in range(22):
        (behind / LAYOUT / f"{i}.pt").write_bytes(b"mine")
    (tmp_path / "out").symlink_to(behind)
    server.answers = [answer(content)]
    Download(tmp_path)()
    assert len(list((behind / LAYOUT).iterdir())) == 23


def test_of_other_files_in_the_folder_only_what_a_killed_fetch_left_is_removed(server, tmp_path, content):
    target = tmp_path / "out" / LAYOUT
    target.mkdir(parents=True)
    for name in ("notes.txt", "Other.pt", f".{FILE}.abc123.pt", f".{FILE}", ".Other.pt.abc123.pt"):
        (target / name).write_bytes(b"x")
    server.answers = [answer(content)]
    download = Download(tmp_path)
    download()
    assert sorted(download.files) == sorted(["notes.txt", "Other.pt", f".{FILE}", ".Other.pt.abc123.pt", FILE])


def sent_to(address):
    def give(handler):
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return give


def compressed(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/octet-stream")
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()


@pytest.mark.parametrize(
    ("give", "expected"),
    [
        (sent_to("http://127.0.0.2:9/x"), r"got sent to http://127\.0\.0\.2:9"),
        (sent_to("https://drive.google.com.evil.example/x"), r"got sent to https://drive\.google\.com\.evil\.example"),
        (sent_to("http://drive.google.com/x"), r"got sent to http://drive\.google\.com"),
        (sent_to("file:///etc/passwd"), r"got sent to file://"),
        (sent_to("/again"), r"expected a file, got more than 10 redirections"),
        (answer(b'<html><form id="download-form" action="http://127.0.0.2:9/x"></form></html>', kind="text/html"), r"got sent to http://127\.0\.0\.2:9"),
        (answer(b"<html>" + bytes(2 << 20), kind="text/html"), r"expected a page of at most 1,048,576 bytes, got more"),
        (compressed, r"expected the file as it is, got it compressed"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Call to deprecated method findChildren:DeprecationWarning")
def test_other_hosts_long_pages_and_compressed_answers_are_refused(server, tmp_path, give, expected):
    server.answers = [give]
    download = Download(tmp_path)
    with pytest.raises(FetchError, match=f"{NAME}: {FILE}: .*{expected}.*; .*zoo.local_dir"):
        download()
    assert (download.files, download.pauses) == ({}, [])


@pytest.mark.parametrize("announced", [True, False])
def test_a_download_stops_at_the_recorded_size(server, tmp_path, content, announced):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/octet-stream")
        if announced:
            handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(bytes(1 << 20))
                sent.append(1)
        except OSError:
            pass

    server.answers = [answer(content)]
    download = Download(tmp_path)
    download()
    shutil.rmtree(tmp_path / "out")
    server.answers = [endless]
    with pytest.raises(FetchError, match=f"expected as recorded {len(content):,} bytes, got more"):
        download()
    assert len(sent) < 60
    assert download.files == {}


@pytest.mark.slow
def test_a_fetch_killed_in_the_middle_leaves_no_model_and_the_next_one_starts_anew(server, tmp_path, content):
    done = threading.Event()

    def half(handler):
        answer(content[:3_000_000], announced=len(content))(handler)
        done.wait(30)

    server.answers = [half, answer(content)]
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); from pathlib import Path\n"
        "from nnrobust.zoo import fetch as zoo_fetch, models as zoo; zoo_fetch.DRIVE = sys.argv[1]; out = Path(sys.argv[2])\n"
        f"zoo_fetch.fetch(zoo.find({NAME!r}), out / 'out', out / 'zoo.lock.json', None)"
    )
    download = Download(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", code, zoo_fetch.DRIVE, str(tmp_path)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not any(download.files.values()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done.set()
    (left,) = download.files
    assert left.startswith(".")
    assert 0 < len(download.files[left]) < len(content)
    assert not download.lock.exists()
    download()
    assert download.files == {FILE: content}
