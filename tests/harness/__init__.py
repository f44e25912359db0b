"""What the tests run on: caches, certificates, substituters, clusters, machines, and cases of them."""
