"""Where the first Aurum had its `git`, which Stripping calls."""

from . import git as git
