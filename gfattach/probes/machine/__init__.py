"""The stage that looks at the machine itself: disk, memory, limits, proxies. It starts nothing."""
