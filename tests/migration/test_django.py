"""A real Django project with the old service's model is replaced: its rows are imported, its frontend goes on."""

import csv
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import development, events
from sandbox.cloud.ports import free_port
from sandbox.cloud.processes import ServerProcess
from sandbox.gateway import signatures
from tests.docs import shell
from tests.docs.pages import claim
from tests.handlers.cloud import TABLE
from tests.handlers.razorpay import Razorpay
from tests.handlers.service import CREATE_ORDER, VERIFY, Service, invoke
from tests.migration.frontend import Frontend
from tests.serving import serving
from tools import import_payments

PROJECT = Path(__file__).parent / "old_service"
DUMP, TRY = claim("docs/migrating.md", sections=("Import the rows",), languages=("sh",))
PAID, BY_WEBHOOK, FAILED, OPEN, NEW = 10, 11, 12, 13, 14
"""Applications of the client, by what became of them at the old service."""


class OldService:
    """The Django project, with a database of its own."""

    def __init__(self, folder: Path, razorpay: Razorpay) -> None:
        self.database = folder / "db.sqlite3"
        self._folder = folder
        self._environment = {
            **os.environ,
            "DATABASE": str(self.database),
            "SECRET_KEY": "the-key-of-djangos-sessions-and-such-things",
            "JWT_SECRET": development.JWT_SECRET,
            "RAZORPAY_API_URL": razorpay.url,
            "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
            "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
            "RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET,
        }

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, cwd=PROJECT, env=self._environment, capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dump(self, folder: Path) -> Path:
        """Export the rows with the page's command, into a folder."""
        python, manage, *words = shlex.split(DUMP.text)
        assert (python, manage) == ("python", "manage.py")
        self.manage(*words[:-1], str(folder / words[-1]))
        return folder / words[-1]

    def token(self) -> str:
        issue = (
            "from django.contrib.auth.models import User\n"
            "from rest_framework_simplejwt.tokens import AccessToken\n"
            "print(AccessToken.for_user(User(id=5)))"
        )
        return self.manage("shell", "--no-imports", "-c", issue).strip()

    @contextmanager
    def running(self) -> Iterator[str]:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
        process = ServerProcess.start(
            "The old service", command, env=self._environment, cwd=PROJECT, log=self._folder / "django.log"
        )
        try:
            process.wait_until(lambda: _answers(address), seconds=60)
            yield address
        finally:
            process.stop()


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code == 404
    except requests.ConnectionError:
        return False


@contextmanager
def new_service() -> Iterator[str]:
    """The functions behind an HTTP server, which passes requests as API Gateway does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            route = {f"{route}/": route for route in (CREATE_ORDER, VERIFY)}[self.path]
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = invoke(events.api_event("POST", route, self.path, headers=dict(self.headers), body=body))
            self.send_response(answer.status)
            self.end_headers()
            self.wfile.write(answer.text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


def webhook(address: str, event: str, payment: dict[str, Any]) -> None:
    body = json.dumps({"event": event, "payload": {"payment": {"entity": payment}}}).encode()
    signature = signatures.of_webhook(development.RAZORPAY_WEBHOOK_SECRET, body)
    headers = {"Content-Type": "application/json", "X-Razorpay-Signature": signature}
    assert requests.post(f"{address}/api/payments/webhook/", data=body, headers=headers, timeout=30).status_code == 200


def as_csv(database: Path, export: Path) -> None:
    """Export the table as a database's own tool does: no offset in times, an empty field for NULL."""
    with closing(sqlite3.connect(database)) as connection, export.open("w", newline="", encoding="utf-8") as file:
        found = connection.execute("SELECT * FROM payments_payment ORDER BY id")
        writer = csv.writer(file)
        writer.writerow(column for column, *_ in found.description)
        writer.writerows(found)


def try_import(folder: Path, exported_at: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status of the page's command, which is a dry run, in the folder with the export."""
    monkeypatch.chdir(folder)
    programs = {"make": "", ".venv/bin/python": ""}
    _, (_, *words) = shell.run(TRY.text, folder, programs, TABLE=TABLE, EXPORTED_AT=exported_at).calls
    assert words[:2] == ["-m", "tools.import_payments"]
    (folder / "key-secrets").touch(0o600)
    (folder / "key-secrets").write_text(development.RAZORPAY_KEY_SECRET, encoding="utf-8")
    return import_payments.main(words[2:])


@pytest.mark.timeout(300)
def test_a_django_service_is_replaced_and_its_frontend_goes_on_unchanged(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    razorpay, now = service.razorpay, int(time.time())
    service.clock.now = now
    old = OldService(tmp_path, razorpay)
    old.manage("migrate", "--run-syncdb", "--verbosity", "0")
    token = old.token()
    paid_with = {PAID: events.PAYMENT_ID, BY_WEBHOOK: "pay_DESn5B2nAbCdEf", FAILED: events.FAILED_PAYMENT_ID}

    # The old service at work.
    with old.running() as address:
        frontend = Frontend(address, token)
        orders = {application: frontend.create_order(application)[1] for application in (*paid_with, OPEN)}
        for application, payment in paid_with.items():
            outcome = "failed" if application == FAILED else "captured"
            razorpay.pay(orders[application]["order_id"], payment, outcome, amount=500_000, created_at=now - 60)
            if application != PAID:
                webhook(address, f"payment.{outcome}", razorpay.payments[payment])
        checkout = events.checkout(orders[PAID]["order_id"], paid_with[PAID])
        verified = frontend.verify(checkout)
        assert verified == (200, {"status": "success", "message": "Payment verified", "payment_id": 1})

    # Its rows, exported and imported; and once more, from another kind of export.
    dump = old.dump(tmp_path)
    monkeypatch.setenv("RAZORPAY_KEY_SECRET", development.RAZORPAY_KEY_SECRET)
    exported_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert (try_import(tmp_path, exported_at, monkeypatch), service.cloud.items()) == (0, {})
    options = ["--table", TABLE, "--exported-at", exported_at, "--workers", "1"]
    assert import_payments.main([str(dump), *options]) == 0
    before = service.cloud.items()
    statuses = {application: before[f"order#{orders[application]['order_id']}"]["status"] for application in orders}
    assert statuses == {PAID: "paid", BY_WEBHOOK: "authorized", FAILED: "failed", OPEN: "created"}
    export = tmp_path / "payments.csv"
    as_csv(old.database, export)
    assert import_payments.main([str(export), *options, "--time-zone", "UTC"]) == 0
    assert service.cloud.items() == before
    assert "4 unchanged" in capsys.readouterr().out

    # Razorpay's books settle them, and nobody is told twice.
    service.run("reconcile", {"rebuild": {"from": now - 3600, "to": now + 3600}})
    assert service.read(orders[BY_WEBHOOK]["order_id"], user_id=5).body["confirmed"]
    assert service.cloud.types() == []

    # The same frontend, at the new address, with the same token.
    with new_service() as address:
        frontend = Frontend(address, token)
        assert frontend.verify(checkout) == verified
        status, answer = frontend.create_order(PAID)
        assert (status, answer["code"]) == (409, "already_paid")
        status, answer = frontend.create_order(OPEN)
        assert status == 200
        assert {name: answer[name] for name in orders[OPEN]} == orders[OPEN]
        razorpay.pay(answer["order_id"], "pay_DESq1w2e3r4t5y", amount=500_000, created_at=now)
        checkout = events.checkout(answer["order_id"], "pay_DESq1w2e3r4t5y")
        verified = frontend.verify(checkout)
        assert verified == (200, {"status": "success", "message": "Payment verified", "payment_id": 4})
        status, answer = frontend.create_order(NEW)
        assert (status, answer["amount"], answer["currency"], answer["status"]) == (201, 500_000, "INR", "created")
        assert answer["payment_id"] > 4
    service.run("reconcile", {"rebuild": {"from": now - 3600, "to": now + 3600}})
    assert [event["payment"]["payment_id"] for event in service.cloud.details()] == [4]
