"""Which Razorpay the local service uses, and whether Razorpay accepts the keys."""

from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sandbox import development
from sandbox.cloud.env_file import UnusableKeysError
from sandbox.cloud.gateways import REAL_URL, STAND_IN, Gateway, check_keys, gateway_of
from sandbox.cloud.ports import free_port
from sandbox.gateway.server import Settings
from tests.gateway.gateway import Gateway as RunningStandIn

KEY_ID = "rzp_test_8fJq2LmZx0Tn4V"
KEY_SECRET = "Vq81kf0LzMwA2nTe6yRb"
WEBHOOK_SECRET = "w7-Jd93kPzQm5ffL"
TEST_KEYS = f"""
# from the dashboard, test mode
export RAZORPAY_KEY_ID={KEY_ID}  # made today
RAZORPAY_KEY_SECRET = '{KEY_SECRET}'
RAZORPAY_WEBHOOK_SECRET="{WEBHOOK_SECRET}" # of the tunnel
OTHER=ignored
"""


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_without_a_file_or_without_keys_in_it_the_stand_in_is_used(env_file: Path) -> None:
    assert gateway_of(env_file) is STAND_IN
    env_file.write_text("# nothing\nOTHER=1\nRAZORPAY_KEY_ID=\n")
    assert gateway_of(env_file) is STAND_IN


def test_with_all_three_test_keys_the_real_test_gateway_is_used(env_file: Path) -> None:
    env_file.write_text(TEST_KEYS)

    gateway = gateway_of(env_file)

    assert gateway.url == REAL_URL
    assert gateway.api_keys == {
        "RAZORPAY_KEY_ID": KEY_ID,
        "RAZORPAY_KEY_SECRET": KEY_SECRET,
    }
    assert gateway.webhook_secrets == {"RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET}


def test_a_live_key_is_refused_without_showing_it(env_file: Path) -> None:
    env_file.write_text(TEST_KEYS.replace("rzp_test_", "rzp_live_"))

    with pytest.raises(UnusableKeysError, match=r"has a live key") as refusal:
        gateway_of(env_file)
    assert KEY_ID.removeprefix("rzp_test_") not in str(refusal.value)


def test_a_live_key_alone_is_called_live_rather_than_incomplete(env_file: Path) -> None:
    env_file.write_text("RAZORPAY_KEY_ID=rzp_live_AAAAAAAAAAAAAA\n")

    with pytest.raises(UnusableKeysError, match="live key"):
        gateway_of(env_file)


def test_incomplete_keys_are_refused_and_the_missing_ones_named(env_file: Path) -> None:
    env_file.write_text(f"RAZORPAY_KEY_ID={KEY_ID}\n")

    with pytest.raises(UnusableKeysError, match="but not RAZORPAY_KEY_SECRET, RAZORPAY_WEBHOOK_SECRET"):
        gateway_of(env_file)


def test_a_key_that_is_neither_test_nor_live_is_refused(env_file: Path) -> None:
    env_file.write_text(TEST_KEYS.replace("rzp_test_", "key_"))

    with pytest.raises(UnusableKeysError, match="not a test key"):
        gateway_of(env_file)


@pytest.mark.parametrize("name", ["RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET", "RAZORPAY_WEBHOOK_SECRET_PREVIOUS"])
def test_a_placeholder_is_named_and_not_shown(env_file: Path, name: str) -> None:
    env_file.write_text(f"{TEST_KEYS}\n{name}=<your-secret-of-today>\n")

    with pytest.raises(UnusableKeysError, match=f"{name} is a placeholder") as refusal:
        gateway_of(env_file)
    assert "empty all of them to use the stand-in" in str(refusal.value)
    for secret in ("of-today", KEY_ID, KEY_SECRET, WEBHOOK_SECRET):
        assert secret not in str(refusal.value)


@pytest.mark.parametrize(
    "filling", ["rzp_test_xxxxxxxxxxxxxx", "rzp_test_...", "rzp_test_YOUR_KEY_ID", "rzp_test_", "<key>"]
)
def test_a_key_id_that_nobody_filled_in_is_a_placeholder(env_file: Path, filling: str) -> None:
    env_file.write_text(f"{TEST_KEYS}\nRAZORPAY_KEY_ID={filling}\n")

    with pytest.raises(UnusableKeysError, match="RAZORPAY_KEY_ID is a placeholder"):
        gateway_of(env_file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAZORPAY_KEY_ID", development.RAZORPAY_KEY_ID),
        ("RAZORPAY_KEY_SECRET", development.RAZORPAY_KEY_SECRET),
        ("RAZORPAY_WEBHOOK_SECRET", development.RAZORPAY_WEBHOOK_SECRET),
    ],
)
def test_what_belongs_to_the_stand_in_is_not_sent_to_razorpay(env_file: Path, name: str, value: str) -> None:
    env_file.write_text(f"{TEST_KEYS}\n{name}={value}\n")

    with pytest.raises(UnusableKeysError, match=f"{name} is the stand-in's own"):
        gateway_of(env_file)


def test_one_secret_for_two_uses_is_refused_as_the_service_refuses_it(env_file: Path) -> None:
    env_file.write_text(f"{TEST_KEYS}\nRAZORPAY_WEBHOOK_SECRET={KEY_SECRET}\n")

    with pytest.raises(UnusableKeysError, match="RAZORPAY_WEBHOOK_SECRET is the key's secret"):
        gateway_of(env_file)


# --- one call that checks them --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def razorpay() -> Iterator[RunningStandIn]:
    with RunningStandIn(Settings(key_id=KEY_ID, key_secret=KEY_SECRET)) as running:
        yield running


def account(url: str, *, key_secret: str = KEY_SECRET) -> Gateway:
    return Gateway(url, KEY_ID, key_secret, WEBHOOK_SECRET)


def test_keys_that_razorpay_knows_are_said_to_be_good(razorpay: RunningStandIn) -> None:
    assert check_keys(account(razorpay.url)).startswith("Razorpay accepts the API keys.")


@pytest.mark.parametrize("status", ["400", "401"])
def test_keys_that_razorpay_refuses_are_not_used_and_not_shown(razorpay: RunningStandIn, status: str) -> None:
    razorpay.control("PUT", "faults", {"key_errors": status})

    with pytest.raises(UnusableKeysError, match=rf"Razorpay refuses .*status {status}") as refusal:
        check_keys(account(razorpay.url, key_secret="another-secret-of-20"))

    razorpay.control("POST", "reset")
    for secret in ("another-secret-of-20", KEY_ID, WEBHOOK_SECRET):
        assert secret not in str(refusal.value)


def test_a_razorpay_that_is_not_reachable_leaves_the_keys_unchecked() -> None:
    said = check_keys(account(f"http://127.0.0.1:{free_port()}"))

    assert "cannot be reached from here (ConnectionError)" in said
    assert KEY_SECRET not in said


def test_a_proxy_that_does_not_answer_leaves_them_unchecked_for_only_this_machine_is_exempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")

    assert "cannot be reached from here (ProxyError)" in check_keys(account(REAL_URL))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>Sign in to the guest network</html>", "is not Razorpay"),
        (200, b"[]", "is not Razorpay"),
        (302, b"", "answered 302"),
        (503, b"{}", "answered 503"),
    ],
)
def test_an_answer_that_says_nothing_of_the_keys_leaves_them_unchecked(status: int, body: bytes, said: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.handle_request).start()
        assert said in check_keys(account(f"http://127.0.0.1:{server.server_port}"))


def test_a_gateway_shows_no_secret_when_it_is_printed() -> None:
    shown = repr(replace(STAND_IN, key_secret=KEY_SECRET, webhook_secret=WEBHOOK_SECRET))
    assert KEY_SECRET not in shown
    assert WEBHOOK_SECRET not in shown
