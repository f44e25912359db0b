"""Who we are to an API server: tokens, passwords, certificates, impersonation; and whom TLS trusts."""

import base64
import json
import ssl
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.cluster.kubeconfig import trust
from gfattach.core.errors import ClusterError
from tests.harness.cluster.kubeconfig_files import certificate, encoded, exec_user, kubeconfig, resolved

NO_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
SOME_CERTIFICATE = certificate()[0]
NO_KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


def refusal(*args, **options):
    with pytest.raises(ClusterError) as caught:
        resolved(kubeconfig(*args, **options))
    return caught.value


def pair(pem, key):
    return {"client-certificate-data": encoded(pem), "client-key-data": encoded(key)}


class TestHeaders:
    def test_a_token(self, tmp_path):
        found = resolved(kubeconfig(tmp_path / "c", {"token": "abc"}))
        assert (found.headers, found.expires) == ((("Authorization", "Bearer abc"),), None)

    def test_a_user_name_and_password(self, tmp_path):
        found = resolved(kubeconfig(tmp_path / "c", {"username": "jané", "password": "a:b"}))
        assert found.authorization == f"Basic {base64.b64encode('jané:a:b'.encode()).decode()}"

    def test_a_token_file_comes_before_a_token_and_is_read_anew_within_a_minute(self, tmp_path):
        (tmp_path / "t").write_text("from-the-file\n")
        found = resolved(kubeconfig(tmp_path / "c", {"token": "abc", "tokenFile": "t"}))
        assert found.authorization == "Bearer from-the-file"
        assert found.expires - datetime.now(UTC) <= timedelta(seconds=60)

    @pytest.mark.parametrize("content", [None, "", " \n", "ü"])
    def test_a_token_file_that_holds_none_gives_way_to_a_token_or_is_named(self, tmp_path, content):
        if content is not None:
            (tmp_path / "t").write_text(content)
        both = kubeconfig(tmp_path / "c", {"token": "abc", "tokenFile": "t"})
        assert resolved(both).authorization == "Bearer abc"
        error = refusal(tmp_path / "c", {"tokenFile": "t"})
        assert error.code == "cluster.credential.token-file"
        assert f"{tmp_path}/t" in error.fact

    def test_a_token_beside_a_plugin_spares_the_plugin(self, tmp_path):
        user = {"token": "abc", **exec_user("no-such-plugin")}
        assert resolved(kubeconfig(tmp_path / "c", user)).authorization == "Bearer abc"

    def test_a_certificate_beside_a_plugin_spares_the_plugin_too(self, tmp_path):
        user = {**pair(*certificate()), **exec_user("no-such-plugin")}
        assert resolved(kubeconfig(tmp_path / "c", user)).authorization is None

    def test_impersonation_with_groups_uid_and_extras_whose_keys_are_escaped(self, tmp_path):
        user = {
            "token": "abc",
            "as": "jane",
            "as-uid": "7",
            "as-groups": ["a", "b"],
            "as-user-extra": {"example.com/100% ü": ["x", "y"]},
        }
        assert resolved(kubeconfig(tmp_path / "c", user)).impersonate == (
            ("Impersonate-User", "jane"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Group", "a"),
            ("Impersonate-Group", "b"),
            ("Impersonate-Extra-example.com%2F100%25%20%C3%BC", "x"),
            ("Impersonate-Extra-example.com%2F100%25%20%C3%BC", "y"),
        )

    def test_a_server_without_tls_is_shown_nothing(self, tmp_path):
        file = kubeconfig(tmp_path / "c", {"token": "abc", "as": "jane"}, {"server": "http://a:1"})
        assert (resolved(file).headers, resolved(file).tls) == ((), None)

    @pytest.mark.parametrize(
        ("user", "code"),
        [
            ({}, "none"),
            ({"as": "jane"}, "none"),
            ({"token": "secret-x", "username": "a"}, "several"),
            ({"token": "secret-x\r\nX: y"}, "token"),
            ({"token": "secret-ü"}, "token"),
            ({"token": "secret-x", "as-groups": ["g"]}, "impersonation"),
            ({"token": "secret-x", "as": "a\nb"}, "impersonation"),
            ({"auth-provider": {"name": "oidc", "config": {"id-token": "secret-x"}}}, "auth-provider"),
        ],
    )
    def test_what_cannot_be_sent_is_refused_without_showing_it(self, tmp_path, user, code):
        error = refusal(tmp_path / "c", user)
        assert error.code == f"cluster.credential.{code}"
        assert "secret" not in f"{error.fact} {error.hints}"


class TestCertificates:
    def test_data_is_loaded_without_a_file_and_ends_the_credential_when_it_ends(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        found = resolved(kubeconfig(tmp_path / "c", pair(*certificate(timedelta(hours=3)))))
        assert found.tls is not None
        assert timedelta(hours=2) < found.expires - datetime.now(UTC) <= timedelta(hours=3)

    def test_without_memory_files_it_passes_through_a_private_file_that_is_gone_afterwards(
        self, tmp_path, monkeypatch
    ):
        seen = []

        class Watching(ssl.SSLContext):
            def load_cert_chain(self, certfile, *args, **options):
                path = Path(certfile)
                seen.append((path, path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777))
                super().load_cert_chain(certfile, *args, **options)

        monkeypatch.delattr("os.memfd_create", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        trust.identify(Watching(ssl.PROTOCOL_TLS_CLIENT), *certificate())  # type: ignore[arg-type]
        ((path, mode, directory_mode),) = seen
        assert (mode, directory_mode) == (0o600, 0o700)
        assert not path.parent.exists()

    def test_files_are_read(self, tmp_path):
        pem, key = certificate()
        (tmp_path / "crt").write_bytes(b"a comment: \xff\n" + pem)
        (tmp_path / "key").write_bytes(key)
        assert resolved(kubeconfig(tmp_path / "c", {"client-certificate": "crt", "client-key": "key"})).tls

    @pytest.mark.parametrize(
        ("user", "code"),
        [
            (pair(certificate()[0], certificate()[1]), "key-mismatch"),
            (pair(*certificate(password=b"secret")), "key-encrypted"),
            (pair(certificate()[0], b"hello"), "key"),
            (
                pair(certificate()[0], NO_KEY),
                "key",
            ),
            (pair(b"hello", certificate()[1]), "certificate"),
            (
                pair(NO_CERTIFICATE, certificate()[1]),
                "certificate",
            ),
            ({"client-certificate-data": encoded(certificate()[0])}, "key"),
            ({"client-certificate": "gone", "client-key": "gone"}, "file"),
            ({**pair(*certificate()), "client-certificate": "gone"}, "several"),
            ({**pair(*certificate()), "client-key": "gone"}, "several"),
        ],
    )
    def test_a_pair_that_cannot_be_used_is_told_apart(self, tmp_path, user, code):
        error = refusal(tmp_path / "c", user)
        assert error.code == f"cluster.credential.{code}"
        assert "BEGIN" not in f"{error.fact} {error.hints}"

    def test_an_expired_one_names_its_date(self, tmp_path):
        error = refusal(tmp_path / "c", pair(*certificate(timedelta(days=-2))))
        assert error.code == "cluster.credential.expired"
        assert f"expired on {datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}" in error.fact


class TestTheEndOfACertificate:
    @pytest.mark.parametrize("days", [-20_000, -1, 0, 30, 9_000, 20_000, 900_000])
    def test_it_is_read_in_both_forms_of_a_time_as_a_library_reads_it(self, days):
        from cryptography import x509

        pem, _ = certificate(timedelta(days=days), start=timedelta(days=-27_000))
        assert trust.not_after(pem) == x509.load_pem_x509_certificate(pem).not_valid_after_utc

    @given(st.integers(min_value=0, max_value=400), st.binary(max_size=8))
    def test_what_is_cut_off_or_overwritten_is_an_error_or_a_time(self, place, instead):
        der = ssl.PEM_cert_to_DER_cert(SOME_CERTIFICATE.decode())
        spoilt = der[:place] + instead + (der[place + len(instead) :] if len(instead) % 2 else b"")
        try:
            assert trust.not_after(ssl.DER_cert_to_PEM_cert(spoilt).encode()).tzinfo is not None
        except trust.PemError as error:
            assert error.code == "certificate"


class TestTrust:
    def test_tls_1_2_at_least_and_names_and_authorities_are_checked(self, tmp_path):
        pem, _ = certificate()
        found = resolved(kubeconfig(tmp_path / "c", cluster={"certificate-authority-data": encoded(pem)}))
        assert found.tls.minimum_version is ssl.TLSVersion.TLSv1_2
        assert (found.tls.verify_mode, found.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert found.tls.cert_store_stats()["x509"] == 1
        assert (found.server_name, found.insecure) == ("api.example", False)

    def test_what_identifies_a_cluster_is_its_address_and_its_own_authorities(self, tmp_path):
        """Not who asks it, and not what the platform trusts, which changes with every update of it."""
        one, two = (encoded(certificate()[0]) for _ in range(2))
        clusters = (
            {},
            {"certificate-authority-data": one},
            {"certificate-authority-data": two},
            {"server": "https://other.example"},
            {"tls-server-name": "other"},
        )
        found = [resolved(kubeconfig(tmp_path / "c", cluster=cluster)).identity for cluster in clusters]
        assert len(set(found)) == len(clusters)
        again = kubeconfig(tmp_path / "c", {"token": "another"}, cluster=clusters[1])
        assert resolved(again).identity == found[1]

    def test_names_and_chains_count_as_they_do_for_kubectl(self, tmp_path):
        """No common names; and any certificate that is given as an authority ends a chain."""
        made = resolved(kubeconfig(tmp_path / "c")).tls
        assert not made.hostname_checks_common_name
        assert made.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN

    def test_without_an_authority_the_platforms_count(self, tmp_path, monkeypatch):
        pem, _ = certificate()
        (tmp_path / "platform.pem").write_bytes(pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "platform.pem"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
        assert resolved(kubeconfig(tmp_path / "c")).tls.cert_store_stats()["x509"] == 1

    def test_verification_that_is_switched_off_is_said(self, tmp_path):
        found = resolved(kubeconfig(tmp_path / "c", cluster={"insecure-skip-tls-verify": True}))
        assert (found.tls.verify_mode, found.insecure) == (ssl.CERT_NONE, True)

    def test_the_name_that_the_certificate_has_to_be_for(self, tmp_path):
        dotted = kubeconfig(tmp_path / "d", cluster={"server": "https://api.example.:1"})
        assert resolved(dotted).server_name == "api.example"
        assert resolved(kubeconfig(tmp_path / "c", cluster={"tls-server-name": "x"})).server_name == "x"

    @pytest.mark.parametrize(
        "cluster",
        [
            {"certificate-authority-data": encoded(b"hello")},
            {"certificate-authority-data": encoded(NO_CERTIFICATE)},
            {"certificate-authority": "gone"},
            {"certificate-authority": "."},
            {"certificate-authority": "gone", "certificate-authority-data": encoded(certificate()[0])},
            {"insecure-skip-tls-verify": True, "certificate-authority-data": encoded(certificate()[0])},
        ],
    )
    def test_an_authority_that_cannot_be_used(self, tmp_path, cluster):
        error = refusal(tmp_path / "c", cluster=cluster)
        assert error.code == "cluster.kubeconfig.authority"
        assert "'c'" in error.fact


def id_token(**claims):
    """A JWT of these claims, as an issuer would sign it."""
    parts = [{"alg": "RS256"}, {"iss": "https://issuer.example", "sub": "jo"} | claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def oidc(token, **more):
    """As IBM Cloud and others write it."""
    config = {
        "client-id": "kube",
        "client-secret": "kube",
        "id-token": token,
        "idp-issuer-url": "https://issuer.example",
        "refresh-token": "r",
    }
    config = {name: value for name, value in (config | more).items() if value is not None}
    return {"auth-provider": {"name": "oidc", "config": config}}


class TestAuthProviders:
    """kubectl shows the id-token of an auth-provider oidc while it holds."""

    @pytest.mark.parametrize("more", [{}, {"refresh-token": None}, {"client-secret": None}, {"extra": "x"}])
    @pytest.mark.parametrize("seconds", [60, 3600.5])
    def test_a_token_that_holds_is_shown_until_it_expires(self, tmp_path, seconds, more):
        token = id_token(exp=time.time() + seconds)
        found = resolved(kubeconfig(tmp_path / "c", oidc(token, **more)))
        assert found.authorization == f"Bearer {token}"
        assert abs(found.expires.timestamp() - time.time() - seconds) < 30

    def test_a_token_beside_it_comes_first(self, tmp_path):
        found = resolved(kubeconfig(tmp_path / "c", oidc(id_token(exp=1)) | {"token": "t"}))
        assert found.authorization == "Bearer t"

    @pytest.mark.parametrize(
        ("entry", "says"),
        [
            (oidc(id_token(exp=1)), "expired on 1970-01-01"),
            (oidc(id_token()), "whose id-token is none"),
            (oidc(id_token(exp="soon")), "whose id-token is none"),
            (oidc("a.b.c"), "whose id-token is none"),
            (oidc("opaque"), "whose id-token is none"),
            (oidc(None), "without id-token"),
            (oidc(id_token(exp=1), **{"client-id": None}), "without client-id"),
            (oidc(id_token(exp=1), **{"idp-issuer-url": None}), "without idp-issuer-url"),
            (
                {"auth-provider": {"name": "gcp", "config": {"access-token": "x"}}},
                "'gcp', which is not spoken",
            ),
            ({"auth-provider": {"name": "azure"}}, "'azure', which is not spoken"),
        ],
    )
    def test_what_is_no_longer_good_says_what_replaces_it(self, tmp_path, entry, says):
        error = refusal(tmp_path / "c", entry)
        assert error.code == "cluster.credential.auth-provider"
        assert says in error.fact
        assert "exec plugin" in error.hints[-1]
