"""Files of YAML that nobody meant: each is one ParamError, at once."""

import resource
import time
from collections import Counter
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made.project import ROOT
from made.tries import tries
from nnrobust.config.params import Params, parse_params, read_params
from nnrobust.config.profiles import compose
from nnrobust.config.reader import MOST_BYTES, read_text, read_yaml
from nnrobust.errors import ParamError

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", r"p, line 3: expected each key once, got 'a' again, first in line 1"),
        ("a: {b: 1, b: 1}\n", r"p, line 1: expected each key once, got 'b' again"),
        ("? [a]\n: 1\n", r"p, line 1: expected a word as key, got sequence"),
        ("a: 010\n", r"p, line 1: expected a decimal number without leading zeros, of at most 40 digits, got 010; readers of YAML differ"),
        ("a: 0b101\n", r"got 0b101; readers"),
        ("a: 0x1F\n", r"got 0x1F; readers"),
        ("a: 1_000\n", r"got 1_000; readers"),
        ("a: 1:30\n", r"got 1:30; readers"),
        ("a: 1:30.5\n", r"expected a decimal number, got 1:30\.5; readers"),
        ("a: 1_0.5\n", r"got 1_0\.5; readers"),
        (f"a: {'9' * 5000}\n", r"got 9{80}\.\.\. \(5,000 characters\); readers"),
        ("a: yes\n", r"expected true or false, got yes; readers"),
        ("a: Off\n", r"expected true or false, got Off; readers"),
        ("a: 2024-01-01\n", r"expected no date; put it in quotes if it is a name, got 2024-01-01"),
        ("a: 2024-13-45\n", r"expected no date"),
        ("a: \"x\\u0000y\"\n", r"expected printable characters, got 'x\\x00y'"),
        ("a: \"\\ud800\"\n", r"expected printable characters, got '\\ud800'"),
        ("a: \"x\\u2028y\"\n", r"expected printable characters, got 'x\\u2028y'"),
        ("a: x\0y\n", r"p: expected YAML: .*special characters are not allowed"),
        (f"a: {'x' * 5000}\n", r"expected texts of at most 2,000 characters, got 5,000"),
        (BOMB, r"expected at most 20,000 values, got more"),
        ("a: &r [*r]\n", r"expected plain values, got an alias of what it stands in"),
        ("a: " + "[" * 40 + "]" * 40, r"expected at most 30 levels of nesting"),
        ("a: " + "[" * 5000 + "]" * 5000, r"expected at most 30 levels of nesting"),
        ("a: " + "{x: " * 5000, r"expected at most 30 levels of nesting|expected YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", r"could not determine a constructor .*\(line 1\)"),
        ("a: 1\n---\na: 2\n", r"expected YAML: but found another document"),
        ("a: [\n", r"expected YAML: .*\(line 2\)"),
        ("\ta: 1\n", r"expected YAML: .*\(line 1\)"),
        ("a: !!int [1]\n", r"expected YAML: "),
        ("a: !!timestamp '1-1-1'\n", r"expected no date"),
        ("x" * (MOST_BYTES + 1), r"expected at most 262,144 characters of YAML"),
    ],
)  # fmt: skip
def test_what_readers_of_yaml_differ_on_or_choke_on_is_refused(text, expected):
    start = time.process_time()
    with pytest.raises(ParamError, match=expected) as caught:
        read_yaml(text, "p")
    assert len(str(caught.value).splitlines()) == 1
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 10\nb: [-3, 0, +4, 1.5, .5, 1., 1.0e-3]\n", {"a": 10, "b": [-3, 0, 4, 1.5, 0.5, 1.0, 0.001]}),
        ("a: true\nb: null\nc: ~\nd: 'yes'\ne: '010'\n", {"a": True, "b": None, "c": None, "d": "yes", "e": "010"}),
        ("a: &x [1, 2]\nb: *x\n", {"a": [1, 2], "b": [1, 2]}),
        ("a: 5e-4\nb: \u00fcber\n", {"a": "5e-4", "b": "\u00fcber"}),
        ("", None),
    ],
)
def test_what_all_readers_of_yaml_agree_on_is_read(text, value):
    assert read_yaml(text, "p") == value


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: sm\u00f6ke".encode("latin-1"), r"expected UTF-8, got the byte 0xf6 in line 1; save the file as UTF-8"),
        ("a: b".encode("utf-16"), r"expected UTF-8, got the byte 0xff"),
        (b"x" * (MOST_BYTES + 1), r"expected at most 262,144 bytes of YAML"),
        (None, r"expected a file of YAML, got .*Is a directory"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, expected):
    path = tmp_path / "params.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ParamError, match=expected):
        read_params(path)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(read_text(path), path) == {"a": 1, "b": 2}


SPLICES = ["8 255", "010", "1:30", "\uff18/255", "yes", "null", "[]", "{}", "- ", "\t", "&a [*a]", "*a", "!!int x", "'", '"', "1e999",
           "9" * 500, "\x00", "\u2028", "<<: {a: 1}", "? ", "| \n", "0x10", "NaN", "-0", "\ufeff", "#", ": ", "---\n", "%YAML 1.1\n"]  # fmt: skip
PIECES = st.sampled_from(SPLICES) | st.text(max_size=4) | st.integers().map(str) | st.floats().map(repr)


@cache
def smoke():
    return tuple(compose(ROOT / "profiles" / "smoke.yaml").splitlines(keepends=True))


@st.composite
def spoilt(draw):
    """The text of a profile with one to three lines spoilt: a value replaced, something put in, a line doubled, moved or lost."""
    lines = list(smoke())
    for _ in range(draw(st.integers(1, 3))):
        rows = st.integers(0, len(lines) - 1)
        row, piece = draw(rows), draw(PIECES)
        line = lines.pop(row)
        start, key = draw(st.integers(0, len(line))), line.split(":")[0]
        end = draw(st.sampled_from([start, start + 1]))
        instead = [[], [line, line], [f"{key}: {piece}\n"], [line[:start] + piece + line[end:]]]
        row = draw(st.just(row) | rows)
        lines[row:row] = draw(st.sampled_from([*instead, [line]]))
    return "".join(lines)


@pytest.mark.slow
def test_a_spoilt_file_is_read_or_is_one_error_within_a_second():
    outcomes = Counter()

    @tries(200)
    @given(spoilt())
    def check(text):
        start, message = time.process_time(), ""
        try:
            assert isinstance(parse_params(text, "params.yaml"), Params)
        except ParamError as error:
            message = str(error)
            assert all(line.startswith("params.yaml") for line in message.split("\n"))
            assert len(message) < 20_000
        assert time.process_time() - start < 1
        outcomes[message == ""] += 1

    check()
    assert min(outcomes[True], outcomes[False]) > 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20
