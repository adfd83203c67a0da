//! Reader and writer of GGUF model files. Never trusts a file: every length has a named cap.
