"""What an expert would say to a denial: what was asked, what stopped it, and what to do about it, the best first."""
