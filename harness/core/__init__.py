"""What every room knows: errors, records, boards, settings, deadlines."""
