"""The AWS CLI without its start: one process that has imported it, and is forked for every call.

A call of the CLI computes for most of a second before it does anything, and the runbook has over a hundred.
`python warm_aws.py <folder>`, in the CLI's environment, serves the program that `client` makes for that folder, until
its standard input ends. Arguments, environment, working directory and the three streams are the caller's.
"""

import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

SOCKET = "aws.sock"
_PIECE = 1 << 16


def client(folder: Path) -> str:
    """A program that is called as `aws` is. It needs a Python, and none of its packages."""
    return f"""#!{sys.executable} -IS
import json, os, socket, sys
call = json.dumps([os.getcwd(), sys.argv[1:], dict(os.environ)]).encode()
# From inside the folder: an address has 100 characters at most, a path may have more.
os.chdir({str(folder)!r})
with socket.socket(socket.AF_UNIX) as server:
    server.connect({SOCKET!r})
    socket.send_fds(server, [call[:1]], [0, 1, 2])
    server.sendall(call[1:])
    server.shutdown(socket.SHUT_WR)
    status = server.recv(1)
sys.exit(status[0] if status else "the AWS CLI died")
"""


def _answer(connection: socket.socket) -> None:
    """One call, in a process of its own."""
    call, files, *_ = socket.recv_fds(connection, 1, 3)
    while piece := connection.recv(_PIECE):
        call += piece
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    folder, sys.argv[1:], environment = json.loads(call)
    os.chdir(folder)
    # The CLI notes there, once it is imported, where its own descriptions are.
    environment["AWS_DATA_PATH"] = os.environ["AWS_DATA_PATH"]
    os.environ.clear()
    os.environ.update(environment)
    status = _aws()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([status]))


def _aws() -> int:
    from awscli import clidriver  # noqa: PLC0415 - only the environment of the server has it

    try:
        return int(clidriver.main())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _serve(folder: Path) -> None:
    from awscli import clidriver  # noqa: PLC0415 - as above

    # Everything else is imported by the first one that is made.
    clidriver.create_clidriver()
    os.chdir(folder)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(SOCKET)
        listening.listen()
        while sys.stdin.fileno() not in select.select([sys.stdin, listening], [], [])[0]:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    try:
                        _answer(connection)
                    except BaseException:  # noqa: BLE001 - this process ends here, with whatever it is
                        traceback.print_exc()
                    os._exit(0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
