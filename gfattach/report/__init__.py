"""What a person, a program or a CI job is shown. Only this package renders."""
