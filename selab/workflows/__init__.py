"""Several runs in a row: learn, minimise, watch, install."""
