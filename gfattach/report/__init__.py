"""What a user, a program or a CI job is shown. Only this package renders."""
