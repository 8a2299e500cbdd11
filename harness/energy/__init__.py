"""Energy of an inference, measured with Nordic's Power Profiler Kit II: docs/energy.md."""
