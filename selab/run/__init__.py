"""One run of a scenario, from the request to the document."""
