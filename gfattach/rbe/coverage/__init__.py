"""The toolchain table: what was proved of which language, from dated evidence alone."""
