"""`doctor`: everything that the service needs before the first file."""
