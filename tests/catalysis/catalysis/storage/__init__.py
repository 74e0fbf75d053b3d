from .storage_client import StorageClient

__all__ = ["StorageClient"]
