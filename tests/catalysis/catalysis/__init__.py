"""A client with the shape of Catalysis', whose own can no longer be had: it keeps its files in a folder on this disk.

What is known of it is how Stripping calls it: `StorageClient(credential).open(path, mode)` is a synchronous context manager that has
`read`, `readline`, `write`, `list` and `exists`, and others to await, such as `delete` and `getatime`.
"""
