"""What each source is, as data: engines read these and contain no name of a source."""
