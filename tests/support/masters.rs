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
    let sheet = master::lay_out(text, origin, None).expect("it has just been read");
    assert!(sheet.entries.iter().map(|(entry, _)| &entry.record).eq(&records));
    let layouts: Vec<_> =
        sheet.entries.iter().map(|(_, layout)| layout.as_ref().expect("nothing is included")).collect();
    for layout in &layouts {
        let [first, last] = [layout.words.first(), layout.words.last()].map(|word| word.expect("a word"));
        assert!(layout.octets.start <= first.start && last.end <= layout.octets.end, "{layout:?}");
        assert!(layout.words.is_sorted_by(|one, other| one.end <= other.start), "{layout:?}");
        assert!(layout.comments.iter().all(|comment| text[comment.start] == b';'), "{layout:?}");
    }
    assert!(layouts.is_sorted_by(|one, other| one.octets.end < other.octets.start), "{layouts:?}");
    let written: String = records.iter().map(|record| format!("{record}\n")).collect();
    assert_eq!(master::parse(written.as_bytes(), &Name::root(), None).as_ref(), Ok(&records), "{written}");
    if let Ok((zone, _)) = Zone::build(origin, records) {
        let dumped = dump(&zone).to_string();
        assert_eq!(master::parse(dumped.as_bytes(), &Name::root(), None), Ok(zone.records()), "{dumped}");
    }
}
