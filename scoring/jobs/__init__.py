"""One unit of scoring: its records, and every decision about it. Pure, as routes/ is."""
