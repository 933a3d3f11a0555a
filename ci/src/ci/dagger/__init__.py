"""The Dagger engine: containers of a session and the functions that start them."""
