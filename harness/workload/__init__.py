"""What is measured: a model's manifest, its windows, its oracle, its firmware image."""
