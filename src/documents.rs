//! Documents that are made from the code, so that both say the same.

use std::{env, fs};

/// The document at `path` is what the code has `made`; with `UPDATE` in the environment it becomes that.
pub(crate) fn check(path: &str, made: &str) {
    if env::var_os("UPDATE").is_some() {
        fs::write(path, made).expect("a document");
    }
    let document = fs::read_to_string(path).expect("a document");
    assert!(document == made, "{path} is not what the code says: `UPDATE=1 cargo test --lib` writes it\n{made}");
}
