"""The catalogue of faults: a module a set-up, and the pairs."""

from tests.faults.catalogue import cache, cluster, kubeconfig, machine, nix, pairs, tls, trial

FAULTS = (
    *trial.FAULTS,
    *machine.FAULTS,
    *cache.FAULTS,
    *tls.FAULTS,
    *nix.FAULTS,
    *kubeconfig.FAULTS,
    *cluster.FAULTS,
    *pairs.FAULTS,
)
