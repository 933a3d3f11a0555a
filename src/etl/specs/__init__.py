"""What each source is, as data: engines read these and know no source by name."""
