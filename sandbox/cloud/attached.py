"""Run a module that ends with the process that started it: `python -m sandbox.cloud.attached <module> <arguments>`.

Whoever starts it keeps the other end of its standard input open and writes nothing. The end of that stream is the end
of the starter, however it came about (a crash and `kill -9` included), and then this process gets SIGTERM.
"""

import os
import runpy
import signal
import sys
import threading

STDIN = 0


def _end_with_starter() -> None:
    # Not through `sys.stdin`: a thread that waits inside its buffer makes the interpreter abort when it ends.
    while os.read(STDIN, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True, name="end-with-starter").start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
