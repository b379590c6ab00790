"""`doctor`: checks everything that the service needs before the first file."""
