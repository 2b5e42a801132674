"""A finished run for people and for machines: text, JSON, JUnit, SARIF, HTML."""
