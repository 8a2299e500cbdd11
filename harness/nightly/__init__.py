"""Every night: all variants on all boards, judged against what was accepted."""
