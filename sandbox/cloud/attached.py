"""Run a module that stops with the process that started it: `python -m sandbox.cloud.attached <module> <arguments>`.

The starter keeps the other end of its standard input open and writes nothing. When that stream ends, the starter has
ended, for whatever reason (including a crash or `kill -9`), and this process gets SIGTERM.
"""

import os
import runpy
import signal
import sys
import threading

STDIN = 0


def _end_with_starter() -> None:
    # Not through `sys.stdin`: a thread that waits in its buffer would make the interpreter abort on exit.
    while os.read(STDIN, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True, name="end-with-starter").start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
