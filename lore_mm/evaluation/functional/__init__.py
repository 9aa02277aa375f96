"""Scores as pure functions of arrays; numpy and torch only."""
