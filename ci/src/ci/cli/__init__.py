"""The command line: verbs, output, progress."""
