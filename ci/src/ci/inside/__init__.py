"""Programs and places inside a container of the stack. Standard library only."""
