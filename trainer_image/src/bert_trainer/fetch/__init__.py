"""A program: downloads what a URL names, checks it and unpacks it."""
