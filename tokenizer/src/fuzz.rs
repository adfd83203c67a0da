//! Entry point for fuzzing. It must never panic, whatever the bytes.
