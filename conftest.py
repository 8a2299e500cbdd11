pytest_plugins = ["tinyrig.plugin", "tinyrig.tests.fixtures"]
