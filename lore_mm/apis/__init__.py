"""What a user calls without a config: inferencers."""
