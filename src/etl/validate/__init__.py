"""Third step: separates rows that keep the rules of their spec from rejects."""
