"""The stage that asks for certificates and trust stores."""
