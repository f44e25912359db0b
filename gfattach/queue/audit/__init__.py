"""What is amiss between scale sets, listeners and runners, whether or not a job waits. Never a change."""
