"""All cases of the openai package for Python; 2.x and 3.x run the same ones."""

import openai_chat
import openai_errors
import openai_other
import openai_tools

from harness import run_all

__all__ = ["openai_chat", "openai_errors", "openai_other", "openai_tools"]

run_all()
