from . import git as git
