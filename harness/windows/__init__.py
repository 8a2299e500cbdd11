"""Test windows as people have them: files of several forms -> one array for each input, labels, and what can't be meant."""
