"""What is read from names, dates, PEM files and OpenSSL's errors, without any server."""

import ssl

import pytest

from gfattach.tls.certificate import matches, split_pem
from gfattach.tls.fault import Fault, NotConnectedError, fault_of, words_of
from gfattach.tls.pem import KeyForm, key_form


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (b"-----BEGIN PRIVATE KEY-----", KeyForm.PKCS8),
        (b"-----BEGIN RSA PRIVATE KEY-----", KeyForm.RSA),
        (b"-----BEGIN EC PRIVATE KEY-----", KeyForm.EC),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", KeyForm.ENCRYPTED),
        (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED", KeyForm.ENCRYPTED),
        (b"-----BEGIN CERTIFICATE-----", KeyForm.NONE),
    ],
)
def test_the_form_of_a_key_is_read_from_its_first_line(key, form):
    assert key_form(key) is form


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Fault.CLIENT_CERTIFICATE),
        ("SSLV3_ALERT_BAD_CERTIFICATE", Fault.CLIENT_CERTIFICATE),
        ("TLSV1_ALERT_UNKNOWN_CA", Fault.CLIENT_CERTIFICATE),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", Fault.HANDSHAKE),
        ("TLSV1_UNRECOGNIZED_NAME", Fault.HANDSHAKE),
        ("WRONG_VERSION_NUMBER", None),
    ],
)
def test_an_alert_tells_what_is_wrong_and_anything_else_is_no_tls(reason, fault):
    error = ssl.SSLError(1, reason)
    error.reason = reason
    assert fault_of(error) is fault


@pytest.mark.parametrize(
    ("code", "fault"),
    [(9, Fault.TIME), (10, Fault.TIME), (62, Fault.NAME), (64, Fault.NAME), (20, Fault.UNTRUSTED)],
)
def test_what_openssl_finds_wrong_with_a_certificate_is_time_name_or_trust(code, fault):
    error = ssl.SSLCertVerificationError(1, "no")
    error.verify_code = code
    assert fault_of(error) is fault


def test_a_connection_that_breaks_says_nothing_of_tls():
    assert fault_of(ConnectionResetError()) is None
    assert fault_of(TimeoutError()) is None


def test_a_connection_that_was_never_made_is_told_from_one_that_breaks():
    assert fault_of(NotConnectedError(111, "connection refused")) is Fault.UNREACHABLE


def test_words_of_another_program_are_harmless_to_a_terminal():
    assert "\x1b" not in words_of(OSError(0, "\x1b[2Jgone"))


@pytest.mark.parametrize(
    ("own", "name", "covered"),
    [
        ("cache.example", "CACHE.example.", True),
        ("*.example.org", "cache.example.org", True),
        ("*.example.org", "a.cache.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.org", "example.org", False),
        ("c*.example.org", "cache.example.org", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("*.0.0.1", "127.0.0.1", False),
    ],
)
def test_a_name_covers_itself_and_a_star_one_label(own, name, covered):
    assert matches(own, name) is covered


def test_a_bundle_is_split_and_what_is_no_base_64_left_out():
    pem = b"# a bundle\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
    broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    assert split_pem(pem + broken + pem) == (b"\0\1\2", b"\0\1\2")
