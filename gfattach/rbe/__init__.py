"""Remote-execution proofs: which targets are eligible, what was executed, and what exactly that proves."""
