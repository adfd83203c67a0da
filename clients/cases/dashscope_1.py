"""dashscope 1.22: the classic API."""

import dashscope_classic
import dashscope_other

from harness import run_all

__all__ = ["dashscope_classic", "dashscope_other"]

run_all()
