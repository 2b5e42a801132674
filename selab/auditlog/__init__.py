"""The audit log: lines -> records -> events -> denials. Knows values only: nothing here runs a command or talks to a person."""
