"""callguard's commands for tests, each in a process of its own, forked from one that has imported them already.

To import them takes longer than most of them run, and tests run hundreds. What a command is given is as for one that
a shell starts: its arguments, its environment and no other, its folder, its output in files of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

LONGEST_S = 60
LARGEST = 1 << 16


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`callguard` with these arguments in the folder ``/``, with nothing to read on its standard input.

    Raises:
        subprocess.TimeoutExpired: it took more than a minute, and was ended.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs, TemporaryFile() as out, TemporaryFile() as err:
        asked = json.dumps([arguments, environment]).encode()
        assert len(asked) < LARGEST
        socket.send_fds(_server(os.getpid()), [asked], [theirs.fileno(), out.fileno(), err.fileno()])
        theirs.close()
        pid = int(ours.recv(20))
        ours.settimeout(LONGEST_S)
        try:
            code = int(ours.recv(20))
        except TimeoutError as error:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), LONGEST_S) from error
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode().replace("\r\n", "\n"))
        return subprocess.CompletedProcess(list(arguments), code, *texts)


@cache
def _server(_of_process: int) -> socket.socket:
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    root = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forking", str(theirs.fileno())],
        stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env={}, cwd=root,
    )  # fmt: skip
    theirs.close()
    atexit.register(_end, ours, process)
    return ours


def _end(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    process.wait(LONGEST_S)


def serve(connection: socket.socket) -> None:
    """Run what is asked for, several at once, until nobody can ask any more."""
    import callguard.cli  # noqa: F401  what each of them needs

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has told its result is waited for by nobody
    os.chdir("/")
    while True:
        asked, descriptors, _, _ = socket.recv_fds(connection, LARGEST, 3)
        if not asked:
            return
        if os.fork() == 0:
            connection.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _watch(*json.loads(asked), *descriptors)
        for each in descriptors:
            os.close(each)


def _watch(arguments: list[str], environment: dict[str, str], teller: int, out: int, err: int) -> NoReturn:
    """Tell the command's process id and, once it has ended, its exit code."""
    command = os.fork()
    if command == 0:
        os.close(teller)
        _command(arguments, environment, out, err)
    with suppress(BrokenPipeError):
        os.write(teller, b"%d" % command)
        _, status = os.waitpid(command, 0)
        os.write(teller, b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _command(arguments: list[str], environment: dict[str, str], out: int, err: int) -> NoReturn:
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["callguard", *arguments]
    code: object = 1
    try:
        from callguard.cli import main

        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
