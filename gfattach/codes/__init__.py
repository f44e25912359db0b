"""The meaning of every code that a user can meet, in one catalogue (`gfattach help codes`).

One rule says where a meaning stands. Who gives many codes of one kind keeps the table of them: the
probes and the engine, the phases of a proof, the linter of a site, tokens, the contract, dialling and
forwarding. Every other code is in `errors` or `steps` here. No code has two meanings, and a code that
is a finding and an error both has its meaning among the findings and its exit code in `errors.ALSO`.

Nothing below the command line imports this package: it is read when somebody asks what a code means.
"""
