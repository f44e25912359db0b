"""Every setting of a site: its key in `gfattach.toml`, what it may be, and what it means.

The table is the one place that knows the keys. Documentation, `gfattach site show` and the
reader are made from it; what a value may be is in `values`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from gfattach.site import values
from gfattach.site.secrets import refuse_secret

#: The name under which an operator publishes a site, and the namespace in which it is looked for.
PROFILE = "gfattach-site"
NAMESPACE = "nix-cache"


#: The roles in which a store below the caches may be used, and what each is.
STORE_ROLES: Mapping[str, str] = {
    "read": "guarded reads: what is read is signed, or checked by its digest",
    "probe": "probes of whether it answers",
    "attic-publish": "publication to Attic",
    "cas": "a content-addressable storage that builds write to",
    "action-cache": "an action cache that builds write to",
    "state": "strict state, such as that of an infrastructure",
    "registry": "a registry of images or modules",
}


def authority_key(role: str) -> str:
    """The setting that allows stores in `role`."""
    return f"authority.{role.replace('-', '_')}"


class Setting(Struct, frozen=True):
    """`key` is `table.name` as in the file; `parse` takes the raw value and the key, raising UsageError.

    `variable` is the environment variable of the contract that says the same, and `option` the command
    line's; `local` says that it concerns one machine only, and has no place in what an operator
    publishes; `example` is a value as the file has it.
    """

    key: str
    parse: Callable[[Any, str], Any]
    meaning: str
    example: str
    variable: str | None = None
    option: str | None = None
    default: Any = None
    local: bool = False

    def read(self, raw: Any, label: str) -> Any:
        """What the raw value means. Raises UsageError, which calls it `label` and never shows a secret."""
        refuse_secret(raw, label)
        return self.parse(raw, label)


SETTINGS: tuple[Setting, ...] = (
    Setting("site.name", values.text, "what people call this site", example='"home lab"', default="unnamed"),
    Setting(
        "cluster.kubeconfig",
        values.file,
        "the kubeconfig; without it what kubectl would take",
        example='"~/.kube/lab.yaml"',
        option="--kubeconfig",
        local=True,
    ),
    Setting(
        "cluster.context",
        values.text,
        "the context in it; without it the current one",
        example='"lab"',
        option="--context",
        local=True,
    ),
    Setting(
        "cluster.namespace",
        values.namespace,
        "the namespace in which the caches and the ConfigMap are looked for",
        example='"nix-cache"',
        option="--namespace",
        default=NAMESPACE,
        local=True,
    ),
    Setting(
        "cluster.profile",
        values.object_name,
        "the ConfigMap in which the operator describes the site",
        example='"gfattach-site"',
        default=PROFILE,
        local=True,
    ),
    Setting(
        "cache.endpoint",
        values.endpoint,
        "the Bazel remote cache: grpc://, grpcs://, http:// or https://; dialled as it is named, or its "
        "real name behind a forward when cache.service is said too",
        example='"grpcs://bazel-cache.example.org"',
        variable="BAZEL_REMOTE_CACHE",
        option="--cache",
    ),
    Setting(
        "cache.service",
        values.service,
        "the Service of the Bazel cache, reached through a forward",
        example='"bazel-cache"',
        option="--cache-service",
    ),
    Setting(
        "cache.service_port",
        values.service_port,
        "its port, by name or number; a gRPC port where there is one",
        example='"grpc"',
        option="--cache-service",
    ),
    Setting(
        "cache.namespace",
        values.namespace,
        "its namespace; cluster.namespace without it",
        example='"nix-cache"',
        option="--cache-service",
    ),
    Setting(
        "cache.instance",
        values.text,
        "the REAPI instance name",
        example='"default"',
        variable="BAZEL_REMOTE_INSTANCE_NAME",
        option="--instance",
        default="",
    ),
    Setting(
        "cache.ca_file",
        values.file,
        "a PEM file with the authority that signed the cache's certificate",
        example='"~/lab-ca.pem"',
        option="--ca-file",
        local=True,
    ),
    Setting(
        "cache.ca_data",
        values.certificates,
        "the authority itself, as PEM text: for a site that is published",
        example="""'''-----BEGIN CERTIFICATE-----...'''""",
    ),
    Setting(
        "cache.upload",
        values.upload,
        'whether this lane may write to the cache: "never", or "trusted" and an option at each use',
        example='"never"',
        default="never",
    ),
    Setting(
        "cache.object_store",
        values.object_store,
        'what the store below the Bazel cache promises: "durable", or "interim_only" for reads alone',
        example='"interim_only"',
    ),
    Setting(
        "nix.substituter",
        values.http_endpoint,
        "the Nix binary cache: http:// or https://, with its path; dialled as it is named, or with "
        "nix.service too (http:// alone) the address that a forward stands for",
        example='"https://nix-cache.example.org/main"',
        option="--substituter",
    ),
    Setting(
        "nix.service",
        values.service,
        "the Service of the Nix cache, reached through a forward",
        example='"attic"',
        option="--nix-service",
    ),
    Setting(
        "nix.service_port",
        values.service_port,
        "its port, by name or number; the HTTP port without it",
        example='"http"',
        option="--nix-service",
    ),
    Setting(
        "nix.namespace",
        values.namespace,
        "its namespace; cluster.namespace without it",
        example='"nix-cache"',
        option="--nix-service",
    ),
    Setting(
        "nix.cache",
        values.cache_path,
        "the path of the binary cache on nix.service; nix.substituter has its own",
        example='"main"',
        default="main",
    ),
    Setting(
        "nix.object_store",
        values.object_store,
        'what the store below the Nix cache promises: "durable", or "interim_only" for reads alone',
        example='"interim_only"',
    ),
    Setting(
        "nix.public_keys",
        values.public_keys,
        "the keys that sign it, NAME:BASE64 each",
        example='["main:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]',
        variable="ATTIC_PUBLIC_KEY",
        option="--public-key",
        default=(),
    ),
    Setting(
        "nix.signed_path",
        values.store_path,
        "an input-addressed store path that the operator published",
        example='"/nix/store/00000000000000000000000000000000-gfattach-signed"',
    ),
    Setting(
        "nix.ca_file",
        values.file,
        "a PEM file with the authority that signed the substituter's certificate",
        example='"~/lab-ca.pem"',
        option="--substituter-ca-file",
        local=True,
    ),
    Setting(
        "nix.ca_data",
        values.certificates,
        "the authority itself, as PEM text: for a site that is published",
        example="""'''-----BEGIN CERTIFICATE-----...'''""",
    ),
    Setting(
        "executor.endpoint",
        values.endpoint,
        "a remote executor of this site: never used, and refused where a cache is proved",
        example='"grpc://executor.example.org:8980"',
        variable="BAZEL_REMOTE_EXECUTOR",
    ),
    Setting(
        "inputs.repository_cache",
        values.file,
        "a repository cache of Bazel's that holds external inputs; BAZEL_REPOSITORY_CACHE comes before it",
        example='"/srv/repository-cache"',
        local=True,
    ),
    Setting(
        "inputs.distdirs",
        values.files,
        "directories with external inputs, their layers too; BAZEL_DISTDIR comes before them",
        example='["/srv/distdir"]',
        local=True,
    ),
    Setting(
        "inputs.mirror",
        values.http_endpoint,
        "a mirror of the inputs: a distdir or a repository cache behind a URL",
        example='"https://inputs.example.org/distdir"',
    ),
    Setting(
        "inputs.durable",
        values.input_authorities,
        'which of these the operator calls durable: "repository-cache", "distdir", "mirror"',
        example='["mirror"]',
        default=(),
    ),
    Setting(
        "inputs.verify_days",
        values.days,
        "for how many days it counts that a durable authority was seen to hold an input",
        example="7",
        default=7,
    ),
    *(
        Setting(
            authority_key(role),
            values.stores,
            f"the stores that may be used for {meaning}",
            example=f'["{"rustfs" if role in ("read", "probe") else "ceph"}"]',
        )
        for role, meaning in STORE_ROLES.items()
    ),
    Setting(
        "authority.durable",
        values.stores,
        "the stores that the operator calls durable",
        example='["ceph"]',
    ),
    Setting(
        "authority.interim_only",
        values.stores,
        "the stores that are there for the time being: for reads and probes alone",
        example='["rustfs"]',
    ),
)

BY_KEY = {setting.key: setting for setting in SETTINGS}
