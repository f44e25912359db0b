"""Users of the bed: a client certificate and a kubeconfig each, and what RBAC lets them do."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from pathlib import Path

from tests.harness.cluster import manifests
from tests.harness.cluster.api import Api, ApiError
from tests.harness.cluster.certs import LIFETIME, CertificateAuthority, KeyPair
from tests.harness.cluster.daemon import wait_until
from tests.harness.cluster.manifests import Manifest


class Users:
    """Makes credentials for `server`, in `directory`; knows what each user was granted."""

    def __init__(self, directory: Path, authority: CertificateAuthority, server: str) -> None:
        self._directory = directory
        self._authority = authority
        self._server = server
        self._keys: dict[str, KeyPair] = {}
        self._granted: dict[str, Sequence[Manifest]] = {}
        self._apis: list[Api] = []

    def credential(
        self, name: str, groups: tuple[str, ...] = (), lifetime: datetime.timedelta = LIFETIME
    ) -> Path:
        """The kubeconfig of a user with a new certificate."""
        pair = self._keys[name] = self._authority.client(name, groups, lifetime)
        files = (self._authority.certificate, pair.certificate, pair.key)
        encoded = [base64.b64encode(file.read_bytes()).decode() for file in files]
        path = self._directory / f"kubeconfig-{name}"
        path.touch(mode=0o600)
        path.write_text(manifests.kubeconfig(self._server, name, *encoded))
        return path

    def api(self, name: str) -> Api:
        """The API as that user."""
        self._apis.append(Api(self._server, self._authority.certificate, self._keys[name]))
        return self._apis[-1]

    def grant(self, admin: Api, name: str, rules: Sequence[Manifest], namespace: str | None) -> None:
        """Let the user do `rules` and nothing else; return when the authorizer has seen it."""
        for manifest in manifests.role_and_binding(name, rules, namespace):
            admin.apply(manifest)
        before, self._granted[name] = self._granted.get(name, ()), rules
        self.wait_for_rights(name, rules, namespace, without=before)

    def wait_for_rights(
        self, name: str, rules: Sequence[Manifest], namespace: str | None, without: Sequence[Manifest]
    ) -> None:
        """Return when the authorizer lets the user do `rules`, and nothing of `without` besides."""
        wanted, unwanted = _flat(rules), _flat(without) - _flat(rules)
        api = self.api(name)

        def arrived() -> bool:
            try:
                found = _effective(api, namespace or manifests.NAMESPACE)
            except ApiError as error:
                if error.code == 401:  # the certificate is not meant to be accepted
                    return True
                raise
            return wanted <= found and not unwanted & found

        wait_until(f"the API server knows the rules of {name}", arrived)

    def close(self) -> None:
        """Close the connections of every `api`."""
        for api in self._apis:
            api.close()


def _effective(api: Api, namespace: str) -> set[str]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = api.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
    return _flat(answer["status"]["resourceRules"])


def _flat(rules: Sequence[Manifest]) -> set[str]:
    """One line for each thing that the rules allow."""
    return {
        f"{verb} {group}/{resource} {name}"
        for rule in rules
        for verb in rule["verbs"]
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
        for name in rule.get("resourceNames", ["*"])
    }
