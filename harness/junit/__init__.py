"""Results as JUnit's XML, which CI systems show as tests."""
