//! (tests follow with master files)
