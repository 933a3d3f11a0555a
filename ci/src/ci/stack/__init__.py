"""The stack as data: services, jobs, settings, images. Standard library only."""
