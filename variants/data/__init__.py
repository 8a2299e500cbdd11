"""Labelled windows to train and test on."""
