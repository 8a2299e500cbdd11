"""What this checkout's own tests need. The plugin `tinyrig` comes by its entry point."""

pytest_plugins = ["pytester", "tinyrig.tests.fixtures"]
