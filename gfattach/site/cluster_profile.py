"""What the cluster's ConfigMap says of a site, asked over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gfattach.core.deadline import Deadline
from gfattach.site.profile import parse_profile, profile_name
from gfattach.site.site import Site

if TYPE_CHECKING:
    from gfattach.cluster.api.client import Api

#: Seconds that reading the ConfigMap may take, the cluster's credentials included.
PROFILE_SECONDS = 20.0

#: What `load_site` takes: what the source is called, and the raw values.
Profile = tuple[str, Mapping[str, Any]]


def source_of(site: Site) -> str:
    """What the ConfigMap of this site is called where a value comes from it."""
    return profile_name(site.get("cluster.namespace"), site.get("cluster.profile"))


async def read_profile(site: Site, api: Api, deadline: Deadline) -> Profile | None:
    """The profile in the cluster; None where there is no such ConfigMap.

    Raises ApiError (403 where it may not be read), and UsageError for one that cannot be used.
    """
    from gfattach.cluster.api.client import ApiError
    from gfattach.cluster.api.reviews import config_map

    try:
        data = await config_map(api, site.get("cluster.namespace"), site.get("cluster.profile"), deadline)
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    source = source_of(site)
    return source, parse_profile(data, source)


def ask_cluster_for_profile(site: Site) -> Profile | None:
    """`read_profile` over a connection of its own. Raises ClusterError and UsageError."""
    from gfattach.cluster.api.client import Api
    from gfattach.cluster.api.loop import run_sync
    from gfattach.cluster.kubeconfig.resolve import resolve

    deadline = Deadline.after(PROFILE_SECONDS)
    return run_sync(read_profile(site, Api(resolve(site.cluster, deadline)), deadline))
