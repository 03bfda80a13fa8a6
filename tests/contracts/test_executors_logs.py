"""What supervised tasks print: nothing is lost and nothing floods, whatever it looks like."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.backends import shim
from mlengine.backends.executors import LocalExecutor
from tests.contracts.tasks import assert_nothing_is_left, messages, over, python, records, shim_of, until

ID = "cat.1.master-replica-0"


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert_nothing_is_left(tmp_path / "tasks")


@pytest.fixture
def local(tmp_path: Path) -> LocalExecutor:
    return LocalExecutor(tmp_path / "tasks")


@pytest.mark.parametrize("megabytes", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_a_trainer_that_prints_without_end_loses_no_line_and_its_supervisor_stays_small(
    local: LocalExecutor, tmp_path: Path, megabytes: int
) -> None:
    go = tmp_path / "go"
    source = (
        "import os, sys, time\n"
        f"for n in range({megabytes * 10_000}): print('%099d' % n)\n"
        "sys.stdout.flush()\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    )
    # As trainers print: line by line, though not flushed by each.
    local.start(python(source, argv=(sys.executable, "-c", source)))
    path = local.log_file(ID)
    last = b'"%099d"}\n' % (megabytes * 10_000 - 1)
    until(lambda: path.exists() and tail(path, len(last)) == last, "the last line", 120)
    status = Path("/proc", str(shim_of(tmp_path, ID)), "status").read_text()
    go.touch()

    assert over(local, ID).exit_code == 0
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    assert peak < 40_000  # kB, of which Python itself is about 13,000
    with path.open("rb") as file:
        for n, line in enumerate(file):
            assert line.startswith(b'{"seq": %d, ' % (n + 1))
            assert line.endswith(b'"%099d"}\n' % n)
    assert n == megabytes * 10_000 - 1
    path.unlink()  # pytest keeps folders of past runs


def tail(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read()


def test_lines_of_a_megabyte_are_whole_in_pieces(local: LocalExecutor) -> None:
    local.start(python("for word in 'abc': print(word * 1_000_000)"))

    over(local, ID)
    printed = messages(local, ID)

    assert "".join(printed) == "a" * 10**6 + "b" * 10**6 + "c" * 10**6
    assert max(map(len, printed)) <= shim.LONGEST_LINE
    assert all(len(set(message)) == 1 for message in printed)


def test_bytes_that_are_no_text_end_neither_log_nor_line(local: LocalExecutor) -> None:
    local.start(
        python("import os; os.write(1, b'caf\\xe9 \\xff\\x00\\n' + bytes(range(128, 256)) + b'\\nend\\n')")
    )

    over(local, ID)
    printed = messages(local, ID)

    assert (printed[0], len(printed), printed[-1]) == ("caf\ufffd \ufffd\x00", 3, "end")


TQDM = """
import sys, time
def bar(n): return f'{n:3d}%|' + '#' * (n // 10) + '|'
sys.stderr.write('\\r' + bar(0))
for n in range(1, 101):
    sys.stderr.write('\\r' + bar(n)); sys.stderr.flush()
sys.stderr.write('\\n')
print('Epoch 1/2')
for n in range(1, 11): sys.stdout.write(f'{n}/10 [==] - loss: 0.{n}' + chr(8) * 25 + '\\r')
sys.stdout.write('10/10 [==] - loss: 0.0123\\n')
"""


def test_a_progress_bar_is_one_line_that_ends_as_it_ended_on_the_screen(local: LocalExecutor) -> None:
    local.start(python(TQDM))

    over(local, ID)

    assert sorted(messages(local, ID)) == ["10/10 [==] - loss: 0.0123", "100%|##########|", "Epoch 1/2"]


def test_a_long_progress_bar_is_seen_from_time_to_time(local: LocalExecutor, tmp_path: Path) -> None:
    done = tmp_path / "done"
    source = (
        "import os, sys, time\n"
        "n = 0\n"
        f"while not os.path.exists({str(done)!r}):\n"
        "    n += 1; sys.stderr.write(f'\\r{n} of many'); sys.stderr.flush(); time.sleep(0.02)\n"
    )
    local.start(python(source))

    seen = until(lambda: messages(local, ID), "a first sign", shim.PROGRESS_SECONDS * 4)
    done.touch()
    over(local, ID)

    assert len(seen) == 1
    assert seen[0].endswith(" of many")
    assert len(messages(local, ID)) in (2, 3)  # one each time span, and the last


def test_a_traceback_of_a_thousand_lines_is_whole_in_the_log(local: LocalExecutor) -> None:
    source = (
        "def one(n):\n    two(n)\ndef two(n):\n    if n: return one(n - 1)\n    raise ValueError('deep')\n"
        "import sys; sys.setrecursionlimit(10_000)\n"
        "one(300)"
    )
    local.start(python(source))

    assert over(local, ID).exit_code == 1
    printed = records(local, ID)

    assert printed[0]["message"] == "Traceback (most recent call last):"
    assert printed[-1]["message"] == "ValueError: deep"
    assert sum("in one" in record["message"] for record in printed) == 301
    assert {record["severity"] for record in printed} == {"ERROR"}
    assert json.loads((local.log_file(ID).parent / shim.EXIT).read_bytes())["lines"] == len(printed)
