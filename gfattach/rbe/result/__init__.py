"""The organisation's own result of a proof, `proof-result.json`, and the attestation of it."""
