"""What users of the data read: SQL files, one per version of a view."""
