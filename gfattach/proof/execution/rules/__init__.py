"""What a build has to have done to prove an execution: a finding for all that speaks against it."""
