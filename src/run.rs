//! Starts everything that a configuration asks for, and stops it. (skeleton)
