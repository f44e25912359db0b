"""The eligibility manifest: which targets may be built remotely, and what a proof of them says."""
