//! How long the records of a Service may be kept, where it says so itself.

use humantime_serde::re::humantime;

use super::{Reason, annotation};
use crate::cluster::Service;

/// The TTL that `service` gives to all of its records, in seconds; `default` where it says nothing, or nothing that is one.
pub(super) fn of(service: &Service, default: u32, reasons: &mut Vec<Reason>) -> u32 {
    let Some(text) = annotation::TTL.iter().find_map(|key| service.annotations.get(*key)) else { return default };
    seconds(text).unwrap_or_else(|| {
        reasons.push(Reason::BadAnnotation);
        default
    })
}

/// `60`, or a duration such as `1m` or `1h30m`, of whole seconds: at most 2^31-1 of them (RFC 2181 §8).
fn seconds(text: &str) -> Option<u32> {
    let seconds = match text.parse() {
        Ok(seconds) => seconds,
        Err(_) => {
            let duration = humantime::parse_duration(text).ok().filter(|duration| duration.subsec_nanos() == 0)?;
            u32::try_from(duration.as_secs()).ok()?
        }
    };
    (seconds < 1 << 31).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_seconds_or_a_duration() {
        let check = |text: &str, expected: Option<u32>| assert_eq!(seconds(text), expected, "{text}");

        check("60", Some(60));
        check("0", Some(0));
        check("2147483647", Some(2_147_483_647));
        check("2147483648", None);
        check("99999999999999999999", None);
        check("-1", None);
        check("60.5", None);
        check("1m", Some(60));
        check("1h30m", Some(5400));
        check("90s", Some(90));
        check("1500ms", None);
        check("2000ms", Some(2));
        check("100000h", Some(360_000_000));
        check("1000000h", None);
        check("", None);
        check("a while", None);
    }
}
