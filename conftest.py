"""What this checkout's own tests need. An environment from before the plugin had its entry point is told of it here."""

import sys

_HERE = [] if "tinyrig.plugin" in sys.modules else ["tinyrig.plugin"]
pytest_plugins = ["pytester", "tinyrig.tests.fixtures", *_HERE]
