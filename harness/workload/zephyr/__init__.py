"""The firmware as a Zephyr application, built and flashed by the user's west."""
