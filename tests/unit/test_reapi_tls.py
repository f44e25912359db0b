"""TLS files towards a cache: what is read from them, and how a bad one is named."""

import ssl

import pytest

from gfattach.core.endpoint import Endpoint
from gfattach.reapi.headers import HeaderError, headers_of
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.reapi.tls import TlsFileError, client_certificate, context, read_pem, root_certificates

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_a_file_that_is_missing_is_named_with_the_reason(tmp_path):
    with pytest.raises(TlsFileError) as caught:
        read_pem(tmp_path / "ca.pem", "CERTIFICATE")
    assert str(tmp_path / "ca.pem") in caught.value.fact and "no such file" in caught.value.fact
    assert caught.value.hints


def test_a_file_of_another_kind_is_named_and_not_shown(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n")
    with pytest.raises(TlsFileError) as caught:
        read_pem(path, "CERTIFICATE")
    assert "holds no certificate" in caught.value.fact
    assert "s3cret" not in repr((caught.value.fact, caught.value.hints))


def test_a_certificate_that_cannot_be_decoded_is_named(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(PEM)
    with pytest.raises(TlsFileError, match="holds no certificate that can be read"):
        context(TlsFiles(ca_file=path))


def test_without_a_file_of_the_site_the_platform_s_store_is_trusted(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(PEM)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert root_certificates(TlsFiles()) == PEM


def test_a_platform_without_such_a_file_leaves_the_choice_to_the_client(monkeypatch):
    nowhere = ssl.get_default_verify_paths()._replace(cafile=None)  # type: ignore[arg-type]
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert root_certificates(TlsFiles()) is None


def test_nobody_is_who_has_no_certificate():
    assert client_certificate(TlsFiles()) is None


def sending(*headers):
    return CacheTarget(Endpoint("grpc", "cache.example", 1), headers=headers)


def test_header_names_are_sent_in_lower_case_and_values_without_their_line_end():
    assert headers_of(sending(("Authorization", "Bearer x\n"))) == [("authorization", "Bearer x")]


@pytest.mark.parametrize(
    "header", [("authorization", "Bearer s3cr\nt"), ("authorization", "s3crét"), ("Bearer s3cret", "x")]
)
def test_a_header_that_cannot_be_sent_is_refused_and_its_value_never_shown(header):
    with pytest.raises(HeaderError) as caught:
        headers_of(sending(header))
    assert "s3cr" not in repr((caught.value.fact, caught.value.hints))


def test_a_target_never_shows_its_headers():
    assert "s3cret" not in repr(sending(("authorization", "s3cret")))
