"""The operator's verbs: publish, lint and show a site; store credentials."""
