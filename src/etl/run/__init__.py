"""A run, step by step: plan, stage, load."""
