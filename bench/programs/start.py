"""Starts one built function, as far as it is told, and reports its memory and modules.

    start.py REPORT FOLDER LAYERS NAME DEPTH [CANNED EVENT]

DEPTH is `ready`, what Lambda calls Init; or `answer`, the first request answered too, with the secrets read and the
network stubbed.
"""

import sys

report, folder, layers, name, depth = sys.argv[1:6]
# /var/task precedes /opt/python, and both precede what the runtime brings.
sys.path[:0] = [folder, *(layer for layer in layers.split(":") if layer)]

from importlib import import_module  # noqa: E402 - after the path

app = import_module("app")
if depth == "answer":
    sys.path.append(__file__.rpartition("/")[0])
    from warm import Context, cut_off_from

    cut_off_from(sys.argv[6], name)
    import json
    from pathlib import Path

    answer = app.lambda_handler(json.loads(Path(sys.argv[7]).read_text(encoding="utf-8")), Context())
    assert answer.get("statusCode", 200) in {200, 201}, answer

with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would be one more import
    memory = next(line for line in status if line.startswith("VmHWM"))
with open(report, "w", encoding="ascii") as file:  # noqa: PTH123 - as above
    file.write(f'{{"modules": {len(sys.modules)}, "rss_kib": {memory.split()[1]}}}')
