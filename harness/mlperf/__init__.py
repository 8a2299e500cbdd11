"""Boards that run a firmware of the MLPerf Tiny benchmarks (EEMBC API): docs/mlperf.md describes what is spoken with them."""
