"""What comes in and what goes out, as values: storage events, completion events. Pure."""
