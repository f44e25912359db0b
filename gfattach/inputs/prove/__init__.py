"""The offline proof: a build with nothing but the declared inputs."""
