"""What evidence has to say besides its logs: each rule gives a finding for what speaks against it."""
