"""Python functions on AWS's runtime client (awslambdaric), isolated in a clean environment.

Stock behaviour:
  1. Every warm invocation takes at least 50 ms, because ministack waits that long for possible log lines. Its Runtime
  API server adds 40 ms, because it sends headers and body in two packets under Nagle's algorithm. 2. A raised exception
  ends the warm process, and the error document always says `Runtime.HandlerError` without a stack trace. 3. Functions
  inherit the environment in which ministack was started, and import ministack's packages (such as pydantic and boto3).
  The layer comes before the function's folder on sys.path. 4. A request without a free environment starts one at once.
  A burst on a cold or busy machine starts one process per request; they share the processors, none is ready in time,
  all are killed, and new ones start.

AWS:
  The runtime client polls the Runtime API, reports errors with type and trace, and stays warm. The environment contains
  only the documented variables and the template's. /var/task precedes /opt/python, and the runtime's own boto3 comes
  last. A request whose environment is still starting uses any that becomes free first, and each start has its own
  processor.

Why it matters:
  A dependency missing from the layer, a secret read from a developer's shell or a module that shadows another must fail
  here as on AWS; and measured latencies must be the service's. A local cloud must recover from an overload.
"""

import contextlib
import hashlib
import http.server
import io
import json
import os
import queue
import shutil
import socketserver
import subprocess
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ministack.core import lambda_runtime as ministack_runtime
from ministack.services import lambda_svc

# AWS limits the init phase to 10 s, at full speed. Here starts share the processors with tests, pages and other
# programs: killing a start that only waits for a processor would make the next one wait even longer.
INIT_LIMIT_SECONDS = 60
COLD_STARTS_AT_ONCE = max(2, os.cpu_count() or 1)  # a start uses a processor; more at once would only be slower
KEPT_ARCHIVES = 40  # some ten deployments: each change of the layer leaves 20 MB behind


@dataclass(frozen=True)
class Settings:
    """Where the functions run.

    Attributes:
        python: the interpreter of the environment that contains only awslambdaric and boto3.
        unpacked: unpacked archives by content; kept between runs, so bytecode is compiled once.
        log: every function's output, in one file in addition to CloudWatch Logs.
    """

    python: Path
    unpacked: Path
    log: Path


def install(settings):
    """Make ministack run Python functions in an `ExecutionEnvironment`."""

    class ConfiguredEnvironment(ExecutionEnvironment):
        pass

    ConfiguredEnvironment.settings = settings
    settings.unpacked.mkdir(parents=True, exist_ok=True)
    forget_old_archives(settings.unpacked)
    stock_worker_class = ministack_runtime._worker_class_for

    def worker_class(config):
        is_python = str(config.get("Runtime", "")).startswith("python")
        return ConfiguredEnvironment if is_python else stock_worker_class(config)

    ministack_runtime._worker_class_for = worker_class
    lambda_svc.acquire_worker = COLD_STARTS.lease
    lambda_svc.release_worker = COLD_STARTS.release
    # ministack's code for custom runtimes passes error documents through unchanged; its code for Python rewrites them.
    lambda_svc._execute_function_warm = lambda_svc._execute_function_provided_warm


class InitError(RuntimeError):
    """The runtime reported an error before its first invocation; `document` is what it reported."""

    def __init__(self, document):
        super().__init__(document.get("errorMessage", "init failed"))
        self.document = document
        self.error_type = document.get("errorType", "Runtime.Unknown")


class ColdStarts:
    """Limits cold starts to `COLD_STARTS_AT_ONCE`; other requests wait for their turn or for a warm environment.

    `lease` and `release` replace ministack's `acquire_worker` and `release_worker`. A turn is held only during init,
    never during an invocation, so that a function may wait for another one.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._starting = set()  # the environments that have a turn

    def lease(self, func_name, config, code_zip, qualifier="$LATEST", max_concurrency=None):
        """A warm environment of this function, or one that may start now; waits for either."""
        key = ministack_runtime._worker_key(func_name, config, qualifier)
        with self._changed:
            while True:
                if warm := self._warm(key):
                    return warm, "reused"
                if len(self._starting) < COLD_STARTS_AT_ONCE:
                    worker, how = ministack_runtime.acquire_worker(
                        func_name, config, code_zip, qualifier, max_concurrency
                    )
                    if worker is not None:
                        self._starting.add(worker)
                    return worker, how
                self._changed.wait()

    @staticmethod
    def _warm(key):
        with ministack_runtime._lock:
            for worker in ministack_runtime._workers.get(key, []):
                process = worker._proc
                if not worker.in_use and process is not None and process.poll() is None:
                    worker.in_use = True
                    worker.last_used = time.time()
                    return worker
        return None

    def started(self, worker):
        """End the turn of an environment that is ready or has failed."""
        with self._changed:
            self._starting.discard(worker)
            self._changed.notify_all()

    def release(self, worker):
        """Return a leased environment (None: it was stopped)."""
        ministack_runtime.release_worker(worker)
        self.started(worker)


COLD_STARTS = ColdStarts()


class ExecutionEnvironment(ministack_runtime.Worker):
    """One Lambda execution environment: a process of the runtime client and the Runtime API it polls.

    It replaces ministack's `Worker`, whose pool leases it to one invocation at a time.
    """

    settings = None

    def __init__(self, func_name, config, code_zip):
        super().__init__(func_name, config, code_zip)
        self._runtime_api = None
        self._output = None

    def _spawn(self):
        try:
            self._start()
        finally:
            COLD_STARTS.started(self)

    def _start(self):
        self._discard_tmpdir()
        self._tmpdir = tempfile.mkdtemp(prefix="lambda-")
        # A file, not a pipe: the function's output is complete when its response arrives, without waiting.
        self._output = Path(self._tmpdir, "output.log").open("a+b", buffering=0)  # noqa: SIM115 - kept
        self._runtime_api = RuntimeApi()
        task = unpack(self.code_zip, self.settings.unpacked)
        layers = [
            unpack(archive, self.settings.unpacked)
            for layer in self.config.get("Layers") or []
            if (archive := lambda_svc._resolve_layer_zip(layer))
        ]
        self._proc = subprocess.Popen(  # noqa: S603 - the handler the template names, no shell
            [str(self.settings.python), "-m", "awslambdaric", self.config["Handler"]],
            cwd=task,  # `python -m` puts it first on sys.path: /var/task
            env=environment_variables(self.config, task, layers, self._runtime_api.address, self._tmpdir),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self._runtime_api.watch(self._proc)
        self._start_time = time.time()
        document = self._runtime_api.initialised(INIT_LIMIT_SECONDS)
        if document is not None:
            ministack_runtime.kill_workers([self])
            raise InitError(document)

    def invoke(self, event, request_id, *, trace_id=None, invoked_function_arn=None):
        """Run one invocation; returns what `_execute_function_provided_warm` expects."""
        with self._lock:
            timeout = int(self.config.get("Timeout", 3))
            cold = self._proc is None or self._proc.poll() is not None
            try:
                if cold:
                    self._spawn()
            except InitError as error:
                self._note(f"INIT_REPORT {error.document.get('errorType')}: {error.document.get('errorMessage')}")
                return self._failed(error.document, cold=True, log="")
            outcome, document = self._runtime_api.run(event, request_id, timeout, trace_id, invoked_function_arn)
            log = self._printed()
            if outcome == "lost":
                ministack_runtime.kill_workers([self])
                self._note(document["errorMessage"])
            if outcome == "response":
                return {"status": "ok", "result": document, "cold_start": cold, "log": log}
            return self._failed(document, cold=cold, log=log)

    def _failed(self, document, *, cold, log):
        return {
            "status": "error",
            "error": document.get("errorMessage", ""),
            "error_payload": document,
            "cold_start": cold,
            "log": log,
        }

    def _printed(self):
        """The function's output since the last invocation; output in between belongs to the next one, as on AWS."""
        self._output.seek(0)
        printed = self._output.read().decode("utf-8", errors="replace")
        self._output.truncate(0)
        if printed:
            self._note(printed)
        return printed

    def _note(self, text):
        """Adds to the log of all functions: one's output or, as in Lambda, that it was stopped and why."""
        with self.settings.log.open("a") as log:
            log.writelines(f"{self.func_name} {line}\n" for line in text.splitlines())

    def _discard_tmpdir(self):
        if self._runtime_api is not None:
            self._runtime_api.close()
            self._runtime_api = None
        if self._output is not None:
            self._printed()
            self._output.close()
            self._output = None
        if self._tmpdir:
            shutil.rmtree(self._tmpdir, ignore_errors=True)
            self._tmpdir = None


def environment_variables(config, task, layers, runtime_api, scratch):
    """Lambda's documented variables, the template's, and this cloud's endpoint. Nothing is inherited.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    _account, region = ministack_runtime._account_region_from_function_config(config)
    name = config["FunctionName"]
    logging = config.get("LoggingConfig") or {}
    site_packages = f"python/lib/{config['Runtime']}/site-packages"
    return {
        **lambda_svc._runtime_env_vars(config),
        **ministack_runtime.execution_credentials(config),
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        # Set only if the functions call the real Razorpay and this machine needs a proxy for that.
        **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
        # Lambda has no such files; botocore would look for the developer's.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"local/[{config.get('Version', '$LATEST')}]{Path(scratch).name}",
        **({"AWS_LAMBDA_LOG_FORMAT": logging["LogFormat"]} if logging.get("LogFormat") else {}),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(task),
        "_HANDLER": config["Handler"],
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": scratch,
        "PYTHONPATH": os.pathsep.join(
            [str(task), *(f"{layer}/{folder}" for layer in layers for folder in (site_packages, "python"))]
        ),
    }


def unpack(archive, folder):
    """The archive unpacked into a folder named by its content; the same archive is unpacked once."""
    destination = folder / hashlib.sha256(archive).hexdigest()[:32]
    if not destination.exists():
        scratch = tempfile.mkdtemp(dir=folder, prefix="unpacking-")
        with zipfile.ZipFile(io.BytesIO(archive)) as content:
            content.extractall(scratch)
        try:
            Path(scratch).rename(destination)
        except OSError:  # another environment, or another emulator, was first
            shutil.rmtree(scratch)
    destination.touch()
    return destination


def forget_old_archives(folder):
    """Remove all but the archives used last."""
    by_use = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_use[KEPT_ARCHIVES:]:
        shutil.rmtree(path, ignore_errors=True)  # another emulator may be removing it, too


class RuntimeApi(socketserver.ThreadingTCPServer):
    """The Lambda Runtime API of one execution environment.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), RuntimeApiHandler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.invocations = queue.SimpleQueue()
        self.reports = queue.SimpleQueue()  # (kind, request id or None, document)
        self.closed = False
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def watch(self, process):
        """Report the end of the runtime's process, so that nobody waits for its response."""

        def wait():
            code = process.wait()
            how = f"exit status {code}" if code >= 0 else f"signal {-code}"
            document = {"errorType": "Runtime.ExitError", "errorMessage": f"Error: Runtime exited with error: {how}"}
            self.reports.put(("exit", None, document))

        threading.Thread(target=wait, daemon=True).start()

    def initialised(self, limit):
        """Wait for the first poll. Returns None, or the document of the error that came instead."""
        try:
            kind, _request_id, document = self.reports.get(timeout=limit)
        except queue.Empty:
            return {"errorType": "Sandbox.Timedout", "errorMessage": f"Init timed out after {limit}.00 seconds"}
        return None if kind == "ready" else document

    def run(self, event, request_id, timeout, trace_id, function_arn):
        """Pass one invocation to the runtime and wait for its outcome: ("response" | "error" | "lost", document)."""
        deadline = time.time() + timeout
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": function_arn or "",
            **({"Lambda-Runtime-Trace-Id": trace_id} if trace_id else {}),
        }
        self.invocations.put((headers, json.dumps(event).encode()))
        while True:
            try:
                kind, reported_id, document = self.reports.get(timeout=max(0.0, deadline - time.time()))
            except queue.Empty:
                message = f"{request_id} Task timed out after {timeout}.00 seconds"
                return "lost", {"errorType": "Sandbox.Timedout", "errorMessage": message}
            if kind == "exit":
                return "lost", {**document, "errorMessage": f"RequestId: {request_id} {document['errorMessage']}"}
            if reported_id == request_id:
                return kind, document

    def close(self):
        """Release the polling runtime, if any, and the port."""
        self.closed = True
        self.invocations.put(None)
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A runtime that died in the middle of an exchange is reported by `watch`, not here."""


class RuntimeApiHandler(http.server.BaseHTTPRequestHandler):
    """One connection of the runtime client."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet …
    disable_nagle_algorithm = True  # … and that packet at once: 40 ms per invocation otherwise

    def do_GET(self):
        """GET …/runtime/invocation/next: the long poll."""
        if not self.path.endswith("/invocation/next"):
            self._answer(404)
            return
        if not getattr(self.server, "polled", False):
            self.server.polled = True
            self.server.reports.put(("ready", None, None))
        invocation = self.server.invocations.get()
        if invocation is None:
            self.close_connection = True
            return
        headers, event = invocation
        self._answer(200, event, headers)

    def do_POST(self):
        """POST …/invocation/<id>/response, …/invocation/<id>/error or …/init/error."""
        document = json.loads(self._body() or b"null")
        *_, request_id, kind = self.path.split("/")
        if request_id == "init":
            self.server.reports.put(("error", None, document))
        else:
            self.server.reports.put((kind, request_id, document))
        self._answer(202)

    def _body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, format, *args):  # noqa: A002 - http.server's name
        """Log nothing: invocations are logged with the functions' output."""
