//! The schema: which records a cluster's objects own. (skeleton)
