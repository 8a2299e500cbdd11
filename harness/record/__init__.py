"""`tinyrig record`: labelled trials from a board's sensor into a dataset."""
