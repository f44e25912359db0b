"""The Remote Execution API v2, as far as a cache goes: messages, digests, clients."""
