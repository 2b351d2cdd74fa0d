"""What tuning does with a workspace: one file for each command of `ragwright tune`."""
