"""What `import tinyrig` offers: measure a model from Python, and the record of what was found. docs/api.md explains it."""
