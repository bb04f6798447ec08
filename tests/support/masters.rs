//! Octets as a master file: what must hold whatever comes, for the test of the corpus and the fuzzer alike.

use hickory_proto::rr::Name;
use kubezone::zone::{Zone, dump, master};

/// Reads `text` as a master file.
///
/// # Panics
///
/// When what was read is written and then read as something else, or an error stands where the text has nothing.
pub(crate) fn check(text: &[u8], origin: &Name) {
    let records = match master::parse(text, origin, None) {
        Ok(records) => records,
        Err(error) => {
            let lines = text.split(|&byte| byte == b'\n').count();
            assert!((1..=lines).contains(&error.position.line), "{error}");
            return;
        }
    };
    let written: String = records.iter().map(|record| format!("{record}\n")).collect();
    assert_eq!(master::parse(written.as_bytes(), &Name::root(), None).as_ref(), Ok(&records), "{written}");
    if let Ok((zone, _)) = Zone::build(origin, records) {
        let dumped = dump(&zone).to_string();
        assert_eq!(master::parse(dumped.as_bytes(), &Name::root(), None), Ok(zone.records()), "{dumped}");
    }
}
