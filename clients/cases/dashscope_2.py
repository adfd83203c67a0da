"""dashscope 2.0: the classic API, which it still has, and its `Client`."""

import dashscope_classic
import dashscope_client
import dashscope_other

from harness import run_all

__all__ = ["dashscope_classic", "dashscope_client", "dashscope_other"]

run_all()
