"""Local calls bypass the shell's proxy; all others use it."""

import os
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import boto3
import botocore.utils
import pytest
import razorpay
import requests
from botocore.config import Config

from sandbox.cloud.ports import free_port
from sandbox.proxies import bypass_for_this_machine, from_environment

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Removes all proxy variables, and those that a test sets."""
    for name in NAMES:
        for spelling in (name, name.upper()):
            # Set first, so that it is restored even if the program under test sets it.
            monkeypatch.setenv(spelling, "")
            monkeypatch.delenv(spelling)
    return monkeypatch


@pytest.fixture
def server() -> Iterator[str]:
    """Answers everything with an empty JSON object."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET  # noqa: N815 - as the base class names them

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as listening:
        Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def ask_with_every_client(url: str) -> list[object]:
    """requests, one of its sessions, the Razorpay SDK, urllib and boto3: all that the sandbox and the tests use."""
    boto = boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="ap-south-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2),
    )
    with requests.Session() as session, urllib.request.urlopen(url, timeout=2) as opened:  # noqa: S310 - loopback
        return [
            requests.get(url, timeout=2).json(),
            session.get(url, timeout=2).json(),
            razorpay.Client(auth=("id", "secret"), base_url=url).order.fetch("order_1"),
            opened.read(),
            boto.invoke(FunctionName="any")["StatusCode"],
        ]


@pytest.mark.parametrize("spelling", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_with_a_proxy_named_and_no_exceptions_every_client_reaches_this_machine(
    environment: pytest.MonkeyPatch, server: str, spelling: str
) -> None:
    environment.setenv(spelling, f"http://127.0.0.1:{free_port()}")

    bypass_for_this_machine()

    assert ask_with_every_client(server) == [{}, {}, {}, b"{}", 200]


def test_without_it_the_proxy_would_be_asked_for_this_machine(environment: pytest.MonkeyPatch, server: str) -> None:
    environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")

    with pytest.raises(requests.exceptions.ProxyError):
        requests.get(server, timeout=2)


@pytest.mark.parametrize("url", ["https://api.razorpay.com/v1/orders", "https://dynamodb.ap-south-1.amazonaws.com"])
def test_razorpay_and_aws_keep_their_proxy(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example:3128")

    bypass_for_this_machine()

    assert requests.utils.get_environ_proxies(url)["https"] == "http://proxy.example:3128"
    assert botocore.utils.get_environ_proxies(url)["https"] == "http://proxy.example:3128"


def test_exceptions_that_were_there_stay_and_both_spellings_say_the_same(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy.example:3128")
    environment.setenv("NO_PROXY", ".internal.example, localhost")

    bypass_for_this_machine()
    bypass_for_this_machine()

    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == ".internal.example,localhost,127.0.0.1,::1"


def test_no_proxy_for_anything_stays_as_it_is(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy.example:3128")
    environment.setenv("NO_PROXY", "*")

    bypass_for_this_machine()

    assert os.environ["NO_PROXY"] == "*"


def test_where_no_proxy_is_named_nothing_is_set() -> None:
    bypass_for_this_machine()

    assert "no_proxy" not in os.environ
    assert from_environment() == {}


def test_a_proxy_of_the_systems_settings_still_counts_for_the_outside(environment: pytest.MonkeyPatch) -> None:
    # As on macOS, where urllib asks the system if no proxy variable is set.
    environment.setattr(urllib.request, "getproxies", lambda: {"https": "http://proxy.example:3128"})

    bypass_for_this_machine()

    assert requests.utils.get_environ_proxies("https://api.razorpay.com/")["https"] == "http://proxy.example:3128"
    assert "127.0.0.1" in os.environ["no_proxy"]


def test_what_names_proxies_is_passed_on_together_with_the_exceptions(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    bypass_for_this_machine()

    assert from_environment() == {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "127.0.0.1,localhost,::1",
        "NO_PROXY": "127.0.0.1,localhost,::1",
    }
