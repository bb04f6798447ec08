//! How names are written in a cluster, by the Kubernetes API's rules.

/// Whether `text` is written as a label, whatever its length: letters in lower case, digits and `-`, the latter neither
/// first nor last (RFC 1123 §2.1).
#[must_use]
pub fn has_label_syntax(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether `text` is a label: of at most 63 octets.
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && has_label_syntax(text)
}

/// Whether `text` is what the API calls a subdomain: labels with dots between them, of at most 253 octets in all. How
/// long each of them is does not matter to it.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(has_label_syntax)
}

/// Whether `text` is written as the name in an object's label, or as its value, whatever its length: letters, digits,
/// `-`, `_` and `.`, the first and the last of them letters or digits.
#[must_use]
pub fn has_name_syntax(text: &str) -> bool {
    let is_outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    is_outer(text.bytes().next()) && is_outer(text.bytes().last()) && text.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_kubernetes_accepts() {
        for label in ["a", "0", "a-b", "1st", &"x".repeat(63)] {
            assert!(is_label(label), "{label}");
        }
        for other in ["", "-a", "a-", "A", "a.b", "a_b", "*", "é", " ", &"x".repeat(64)] {
            assert!(!is_label(other), "{other}");
        }
    }
}
