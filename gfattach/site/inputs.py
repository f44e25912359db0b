"""The external inputs of a site, said by the variables of the environment contract that exist for them."""

from __future__ import annotations

from collections.abc import Mapping

from gfattach.bazel.external.distdir import layers_of
from gfattach.site.site import Site


def with_site_inputs(environment: Mapping[str, str], site: Site) -> dict[str, str]:
    """`environment`, with the site's repository cache and distdirs (each layer one) where it names none.

    Raises StorageError for a distdir that cannot be read.
    """
    made = dict(environment)
    cache, distdirs = site.get("inputs.repository_cache"), site.get("inputs.distdirs") or ()
    if cache is not None and not made.get("BAZEL_REPOSITORY_CACHE"):
        made["BAZEL_REPOSITORY_CACHE"] = str(cache)
    if distdirs and not made.get("BAZEL_DISTDIR"):
        layers = [str(layer) for each in distdirs for layer in layers_of(each)]
        made["BAZEL_DISTDIR"] = ":".join(layers)
    return made
