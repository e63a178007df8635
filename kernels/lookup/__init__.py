"""Tables of vectors, looked up by number."""

from kernels.lookup.api import embedding, embedding_backward

__all__ = ["embedding", "embedding_backward"]
