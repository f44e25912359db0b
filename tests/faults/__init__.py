"""Faults that are seeded on purpose, and whether `gfattach doctor` puts each one first.

python -m tests.faults                  seed every fault, print the score, write docs/doctor-score.md
python -m tests.faults tls nix          of these set-ups alone, nothing written
python -m tests.faults --list           every fault with the code that is expected
"""
