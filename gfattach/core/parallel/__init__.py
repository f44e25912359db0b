"""Work beside other work: imports ahead, and what a second processor may do."""
