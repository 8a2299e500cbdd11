"""`tinyrig init`: what a project of the user's begins with."""
