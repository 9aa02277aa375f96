"""Metrics for mmengine's evaluator, thin around the pure functions."""
