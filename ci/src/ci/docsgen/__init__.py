"""Generated files: reference pages, the compose file, copies of image names."""
