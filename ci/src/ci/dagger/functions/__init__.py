"""The functions of the Dagger module, a file a theme; `ci.main` puts them together."""
