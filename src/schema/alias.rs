//! Services whose name leads to another name.

use hickory_proto::rr::Name;

use super::Reason;
use crate::cluster::{Service, is_label};

/// Where an `ExternalName` Service leads to.
pub(super) fn of_external_name(service: &Service, reasons: &mut Vec<Reason>) -> Option<Name> {
    let target = service.hostnames.first().and_then(|hostname| target(hostname));
    if target.is_none() {
        reasons.push(Reason::InvalidExternalName);
    }
    target
}

/// Where a load balancer is that has names and no address: an alias has one target, so that of several the first counts.
pub(super) fn of_ingress(service: &Service, reasons: &mut Vec<Reason>) -> Option<Name> {
    let mut targets = service.hostnames.iter().filter_map(|hostname| target(hostname));
    let first = targets.next()?;
    if targets.any(|other| other != first) {
        reasons.push(Reason::SeveralHostnames);
    }
    Some(first)
}

/// The name of a host, absolute with and without a final dot.
///
/// An address is none, however it is written: no top-level domain is a number (RFC 3696 §2).
fn target(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if !text.split('.').all(is_label) || text.rsplit('.').next().is_none_or(is_number) {
        return None;
    }
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_name() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(target(text).map(|name| name.to_string()).as_deref(), expected, "{text}");
        };

        check("www.example.net", Some("www.example.net."));
        check("www.example.net.", Some("www.example.net."));
        check("localhost", Some("localhost."));
        check("1.example", Some("1.example."));
        check("192.0.2.1", None);
        check("192.0.2.1.", None);
        check("010.0.2", None);
        check("2001:db8::1", None);
        check("", None);
        check(".", None);
        check("www..example", None);
        check("*.example.net", None);
        check("a_b.example.net", None);
        check(&format!("{}example", "a.".repeat(125)), None);
    }
}
