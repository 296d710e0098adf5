"""Run the AWS CLI without its start-up time: one process imports it and forks for every call.

Starting the CLI takes over half a second of CPU, and the runbook calls it more than a hundred times. Each call
would also look for the models of services and read some, which is a quarter of its work, so that is done once, too.
`python warm_aws.py <folder>`, in the CLI's environment, serves the program from `client(folder)` until its standard
input ends. Every call has the caller's arguments, environment, working directory and standard streams.
"""

import functools
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

SOCKET = "aws.sock"
SERVICES = (
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "events",
    "iam",
    "lambda",
    "logs",
    "secretsmanager",
    "sqs",
    "sts",
)
"""Those that the runbook calls often."""
KINDS = ("service-2", "paginators-1", "waiters-2", "endpoint-rule-set-1")
_PIECE = 1 << 16


def client(folder: Path) -> str:
    """The text of a program to use in place of `aws`. It imports only the standard library, so it starts quickly."""
    return f"""#!{sys.executable} -IS
import json, os, socket, sys
call = json.dumps([os.getcwd(), sys.argv[1:], dict(os.environ)]).encode()
# Relative to the folder, because the address of a socket is limited to about 100 characters.
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
    """Answer one call. Runs in a forked process."""
    call, files, *_ = socket.recv_fds(connection, 1, 3)
    while piece := connection.recv(_PIECE):
        call += piece
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    folder, sys.argv[1:], environment = json.loads(call)
    os.chdir(folder)
    # The CLI sets this variable on import, to find its own data.
    environment["AWS_DATA_PATH"] = os.environ["AWS_DATA_PATH"]
    os.environ.clear()
    os.environ.update(environment)
    status = _aws()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([status]))


def _aws() -> int:
    from awscli import clidriver  # noqa: PLC0415 - only the server's environment has it

    try:
        return int(clidriver.main())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _serve(folder: Path) -> None:
    from awscli import clidriver  # noqa: PLC0415 - as above
    from botocore import session  # noqa: PLC0415 - the CLI's own copy, under this name once the CLI is imported

    # Each call has a driver of its own, which would look for the same models and read them again.
    vars(session)["create_loader"] = functools.cache(session.create_loader)
    # Creating a driver imports the rest of the CLI.
    models = clidriver.create_clidriver().session.get_component("data_loader")
    for kind in KINDS:
        for service in set(SERVICES) & set(models.list_available_services(kind)):
            models.load_service_model(service, kind)
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
                    except BaseException:  # noqa: BLE001 - the forked process ends here in any case
                        traceback.print_exc()
                    os._exit(0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
