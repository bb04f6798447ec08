//! Master files (RFC 1035 §5, RFC 2308 §4, RFC 3597): text in, records out.
//!
//! Three layers: `lexer` makes words of characters, this module entries of
//! words (directives; owner, TTL, class, type), and `rdata` wire form of the
//! words that are left, field by field as the table in `zone::types` says.
//!
//! What a master file holds is octets: names and strings need not be UTF-8.
//! Whether the records make a zone is not known here; every record is handed
//! on with the position of its entry for those who find that they do not.
//! `$INCLUDE` is why this is the one place in `zone` that opens files.

mod layout;
mod lexer;
mod rdata;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};

pub use self::layout::{Layout, Sheet, lay_out};
use self::lexer::{Lexer, Line, Quotes, Word};
use super::{Rdata, Record, types};

/// Where something stands in a master file; both count from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A record and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it says.
    pub record: Record,
    /// Where its entry begins.
    pub position: Position,
    /// The file that `$INCLUDE` named; none: the text itself.
    pub file: Option<Arc<Path>>,
}

impl AsRef<Record> for Entry {
    fn as_ref(&self) -> &Record {
        &self.record
    }
}

/// A master file that cannot be read: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{position}: {problem}", file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default())]
pub struct MasterError {
    /// The file that `$INCLUDE` named; none: the text itself.
    pub file: Option<Arc<Path>>,
    /// Where in it.
    pub position: Position,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a master file, and what to do about it.
///
/// What stood in the file is quoted with its escapes, and cut when long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it; the fields are named by them")]
pub enum Problem {
    #[error("a NUL octet: write it as `\\000`; where there are many, the file is damaged or UTF-16")]
    Nul,
    #[error("a carriage return that ends no line: end lines with LF or CR LF")]
    CarriageReturn,
    #[error("this quoted string is not closed on its line: add `\"`")]
    UnclosedQuote,
    #[error("a quote in the middle of a word: put the whole string in quotes, or write `\\\"`")]
    MisplacedQuote,
    #[error("this parenthesis is never closed: add `)` where the entry ends")]
    UnclosedParenthesis,
    #[error("this parenthesis closes none: remove it, or write `\\)`")]
    UnopenedParenthesis,
    #[error("`{found}` has an escape that is none: write `\\` and a character, or `\\` and three digits up to 255")]
    BadEscape { found: String },
    #[error("the entry ends where {expected} is expected")]
    Missing { expected: &'static str },
    #[error("expected {expected}, found `{found}`")]
    Expected { expected: &'static str, found: String },
    #[error("`{found}` is left over: the entry was complete before it")]
    LeftOver { found: String },
    #[error("the first record has no owner: begin its line with a name, or `@` for the origin")]
    NoOwner,
    #[error("`{name}` has an empty label: remove a dot")]
    EmptyLabel { name: String },
    #[error("`{name}` has a label of {length} octets: 63 is the most")]
    LabelTooLong { name: String, length: usize },
    #[error("`{name}` with its origin has more than 255 octets: shorten it, or end it with a dot if it is absolute")]
    NameTooLong { name: String },
    #[error("a string of {length} octets: 255 is the most, split it into several")]
    StringTooLong { length: usize },
    #[error("RDATA of {length} octets: 65535 is the most")]
    RdataTooLong { length: usize },
    #[error("RDATA of {found} octets, where {stated} were announced")]
    RdataLength { stated: u16, found: usize },
    #[error("these octets are no RDATA of type {rtype}: check them, or write the record as text")]
    MalformedRdata { rtype: String },
    #[error("class {class}: only IN is served here")]
    Class { class: String },
    #[error(
        "unknown record type `{mnemonic}`: check its spelling, or write it by number as `TYPEnnn \\# length hex` (RFC 3597)"
    )]
    UnknownType { mnemonic: String },
    #[error("records of this type are read by number only: write `TYPE{code} \\# length hex` (RFC 3597)")]
    NoTextForm { code: u16 },
    #[error("type {rtype} is for questions and messages: no zone holds it")]
    NotData { rtype: String },
    #[error("no TTL: write one before the type, or `$TTL 1h` at the beginning of the file")]
    NoTtl,
    #[error("a TTL of {ttl} seconds: 2147483647 is the most (RFC 2181 §8)")]
    TtlTooLong { ttl: u32 },
    #[error("an angle of more than {most} degrees")]
    AngleTooLarge { most: i64 },
    #[error("SvcParam `{key}` is there twice: give each key once")]
    ParamTwice { key: String },
    #[error("SvcParam `{missing}` is missing: `{by}` asks for it")]
    ParamMissing { missing: String, by: &'static str },
    #[error("unknown directive `{directive}`: $ORIGIN, $TTL and $INCLUDE are known")]
    UnknownDirective { directive: String },
    #[error("a blank before `{directive}`: a directive begins where its line begins")]
    DirectiveBehindBlank { directive: String },
    #[error("$GENERATE is BIND's own and not read: write its records out, `named-compilezone` does")]
    Generate,
    #[error("$INCLUDE is not allowed here: put the records into this file")]
    IncludeRefused,
    #[error("$INCLUDE of `{}` leaves the folder of the zone: only files inside are read", path.display())]
    IncludeOutside { path: PathBuf },
    #[error("$INCLUDE of `{}` failed: {cause}", path.display())]
    IncludeUnreadable { path: PathBuf, cause: String },
    #[error("files include each other more than {MAX_INCLUDES} deep: perhaps this one includes itself")]
    IncludeTooDeep,
}

impl Problem {
    fn at(self, position: Position) -> MasterError {
        MasterError { file: None, position, problem: self }
    }
}

/// What stands in the file, as an error shows it.
fn shown(text: &[u8]) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}

/// The longest TTL (RFC 2181 §8).
const MAX_TTL: u32 = i32::MAX as u32;

/// How deep files may include each other.
const MAX_INCLUDES: usize = 10;

/// Reads `text` as a master file with `origin` as its first `$ORIGIN`.
///
/// `folder` confines `$INCLUDE`; `None` refuses it. A TTL left out is that of
/// `$TTL`; without one the last stated (RFC 1035 §5.1), else the SOA's MINIMUM.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn parse(text: &[u8], origin: &Name, folder: Option<&Path>) -> Result<Vec<Record>, MasterError> {
    let (entries, errors) = read(text, origin, folder, 1, &mut |_| {});
    let records = entries.into_iter().map(|entry| entry.record).collect();
    errors.into_iter().next().map_or(Ok(records), Err)
}

/// Where `$INCLUDE` may go from the file at `path`: its folder.
#[must_use]
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// As [`parse`], with the place of each record, and beside them what is wrong, in order: reading goes on behind an error
/// until there are `most` (at least one).
///
/// `progress` is called every few thousand records.
pub fn read(
    text: &[u8],
    origin: &Name,
    folder: Option<&Path>,
    most: usize,
    progress: &mut dyn FnMut(Progress),
) -> (Vec<Entry>, Vec<MasterError>) {
    let mut reader = Reader::new(origin, folder, most, progress);
    reader.read(text);
    (reader.entries, reader.errors)
}

/// How far a master file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Octets of the text itself; files that it includes are not counted.
    pub octets: usize,
    /// Records, those of included files among them.
    pub records: usize,
}

/// [`Progress`] is told whenever so many more records have been read.
const RECORDS_PER_PROGRESS: usize = 4096;

/// What an entry means depends on those before it.
struct Reader<'a> {
    folder: Option<&'a Path>,
    /// The file being read, where it was included.
    file: Option<Arc<Path>>,
    depth: usize,
    origin: Name,
    owner: Option<Name>,
    /// From `$TTL`.
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    /// The RDATA being read.
    rdata: Vec<u8>,
    entries: Vec<Entry>,
    /// How each of them stands in the text, where somebody wants to know.
    layouts: Option<Vec<Option<Layout>>>,
    errors: Vec<MasterError>,
    /// So many errors end it.
    most: usize,
    /// How much of the text itself has been read.
    octets: usize,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Reader<'a> {
    fn new(origin: &Name, folder: Option<&'a Path>, most: usize, progress: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            folder,
            file: None,
            depth: 0,
            origin: origin.clone(),
            owner: None,
            default_ttl: None,
            last_ttl: None,
            rdata: Vec::new(),
            entries: Vec::new(),
            layouts: None,
            errors: Vec::new(),
            most,
            octets: 0,
            progress,
        }
    }

    fn read(&mut self, text: &[u8]) {
        let mut lexer = Lexer::new(text);
        let mut line = Line::default();
        while self.errors.len() < self.most {
            let read = match lexer.line(&mut line) {
                Ok(false) => return,
                Ok(true) => self.line(&line),
                Err(error) => {
                    lexer.skip_line();
                    Err(error)
                }
            };
            if let Err(error) = read {
                self.errors.push(MasterError { file: self.file.clone(), ..error });
            }
            if self.depth == 0 {
                self.octets = lexer.read();
            }
        }
    }

    fn line(&mut self, line: &Line) -> Result<(), MasterError> {
        let mut words = Words::new(line);
        let directive = &line.words[0];
        if directive.quotes == Quotes::None && directive.text.starts_with(b"$") {
            self.directive(line.blank, &mut words)?;
        } else {
            self.record(line.blank, &mut words)?;
            if let Some(layouts) = &mut self.layouts {
                layouts.push((self.depth == 0).then(|| Layout::of(line, &self.origin, self.default_ttl)));
            }
        }
        words.finish()
    }

    fn directive(&mut self, blank: bool, words: &mut Words) -> Result<(), MasterError> {
        let directive = words.plain("a directive")?;
        if blank {
            return Err(Problem::DirectiveBehindBlank { directive: shown(directive.text) }.at(directive.position));
        }
        match directive.text.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => self.origin = words.name(&self.origin)?,
            b"$TTL" => self.default_ttl = Some(words.ttl()?),
            b"$INCLUDE" => self.include(words)?,
            b"$GENERATE" => return Err(Problem::Generate.at(directive.position)),
            _ => return Err(Problem::UnknownDirective { directive: shown(directive.text) }.at(directive.position)),
        }
        Ok(())
    }

    /// Reads another file in this place; its origin and owner are its own (RFC 1035 §5.1).
    fn include(&mut self, words: &mut Words) -> Result<(), MasterError> {
        let word = words.next("a file name")?;
        let at = |problem: Problem| problem.at(word.position);
        let name = OsString::from_vec(rdata::unescape(word)?);
        let origin = match words.peek() {
            Some(_) => words.name(&self.origin)?,
            None => self.origin.clone(),
        };
        let folder = self.folder.ok_or_else(|| at(Problem::IncludeRefused))?;
        if self.depth == MAX_INCLUDES {
            return Err(at(Problem::IncludeTooDeep));
        }
        let path = folder.join(name);
        let unreadable =
            |error: io::Error| at(Problem::IncludeUnreadable { path: path.clone(), cause: error.to_string() });
        // Without links: one that leads out of the folder is no way out.
        let real = path.canonicalize().map_err(unreadable)?;
        if !real.starts_with(folder.canonicalize().map_err(unreadable)?) {
            return Err(at(Problem::IncludeOutside { path }));
        }
        let text = fs::read(&real).map_err(unreadable)?;

        let file = self.file.replace(path.into());
        let origin = std::mem::replace(&mut self.origin, origin);
        let owner = self.owner.clone();
        self.depth += 1;
        self.read(&text);
        self.depth -= 1;
        self.owner = owner;
        self.origin = origin;
        self.file = file;
        Ok(())
    }

    fn record(&mut self, blank: bool, words: &mut Words) -> Result<(), MasterError> {
        let position = words.position();
        if !blank {
            self.owner = Some(words.name(&self.origin)?);
        }
        let owner = self.owner.clone().ok_or_else(|| Problem::NoOwner.at(position))?;

        let stated = ttl_and_class(words)?;
        let rtype_position = words.position();
        let rtype = words.rtype()?;
        self.rdata.clear();
        rdata::read(rtype, words, &self.origin, &mut self.rdata)?;
        let ttl = match stated.or(self.default_ttl).or(self.last_ttl) {
            Some(ttl) => ttl,
            None if rtype == RecordType::SOA => {
                soa_minimum(&self.rdata).map_err(|problem| problem.at(rtype_position))?
            }
            None => return Err(Problem::NoTtl.at(rtype_position)),
        };
        if stated.is_some() || self.last_ttl.is_none() {
            self.last_ttl = Some(ttl);
        }
        let record = Record { owner, ttl, rtype, rdata: Rdata::from_wire(self.rdata.as_slice()) };
        self.entries.push(Entry { record, position, file: self.file.clone() });
        if self.entries.len().is_multiple_of(RECORDS_PER_PROGRESS) {
            (self.progress)(Progress { octets: self.octets, records: self.entries.len() });
        }
        Ok(())
    }
}

/// What stands between owner and type: a TTL and a class, in either order, each or none.
fn ttl_and_class(words: &mut Words) -> Result<Option<u32>, MasterError> {
    let (mut ttl, mut class) = (None, false);
    loop {
        let Some(word) = words.peek().filter(|word| word.quotes == Quotes::None) else { return Ok(ttl) };
        if ttl.is_none() && word.text.first().is_some_and(u8::is_ascii_digit) {
            ttl = Some(words.ttl()?);
        } else if !class && is_class(word)? {
            class = true;
            words.next("a class")?;
        } else {
            return Ok(ttl);
        }
    }
}

/// Whether `word` is a class; an error when it is another than IN.
fn is_class(word: &Word) -> Result<bool, MasterError> {
    let is = |class: &&[u8]| word.text.eq_ignore_ascii_case(class);
    let number = || {
        let (prefix, digits) = word.text.split_at_checked(5)?;
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        (is_number && prefix.eq_ignore_ascii_case(b"CLASS")).then_some(())
    };
    if [b"IN".as_slice(), b"CLASS1"].iter().any(is) {
        Ok(true)
    } else if [b"CH".as_slice(), b"HS", b"CS"].iter().any(is) || number().is_some() {
        Err(Problem::Class { class: shown(word.text) }.at(word.position))
    } else {
        Ok(false)
    }
}

/// The MINIMUM of an SOA's RDATA, as a TTL.
fn soa_minimum(rdata: &[u8]) -> Result<u32, Problem> {
    let ttl = rdata.last_chunk().map_or(0, |minimum| u32::from_be_bytes(*minimum));
    if ttl > MAX_TTL { Err(Problem::TtlTooLong { ttl }) } else { Ok(ttl) }
}

/// The words of an entry that nobody has read yet.
struct Words<'a, 'l> {
    rest: &'l [Word<'a>],
    end: Position,
}

impl<'a, 'l> Words<'a, 'l> {
    fn new(line: &'l Line<'a>) -> Self {
        Self { rest: &line.words, end: line.end }
    }

    fn peek(&self) -> Option<&'l Word<'a>> {
        self.rest.first()
    }

    /// Where the next word is, or the end.
    fn position(&self) -> Position {
        self.peek().map_or(self.end, |word| word.position)
    }

    /// The next word; `expected` says what it should have been when there is none.
    fn next(&mut self, expected: &'static str) -> Result<&'l Word<'a>, MasterError> {
        let (word, rest) = self.rest.split_first().ok_or(Problem::Missing { expected }.at(self.end))?;
        self.rest = rest;
        Ok(word)
    }

    /// The next word, which must have no quotes.
    fn plain(&mut self, expected: &'static str) -> Result<&'l Word<'a>, MasterError> {
        let word = self.next(expected)?;
        match word.quotes {
            Quotes::None => Ok(word),
            Quotes::Around | Quotes::Value => Err(rdata::unexpected(expected, word)),
        }
    }

    /// The next word as what `read` makes of it.
    fn value<T>(&mut self, expected: &'static str, read: impl FnOnce(&'a str) -> Option<T>) -> Result<T, MasterError> {
        let word = self.plain(expected)?;
        let value = std::str::from_utf8(word.text).ok().and_then(read);
        value.ok_or_else(|| rdata::unexpected(expected, word))
    }

    fn name(&mut self, origin: &Name) -> Result<Name, MasterError> {
        rdata::name(self.plain("a domain name")?, origin)
    }

    /// Seconds, or a number with units.
    fn period(&mut self) -> Result<u32, MasterError> {
        self.value("seconds, or a period such as 1h30m", rdata::period)
    }

    fn ttl(&mut self) -> Result<u32, MasterError> {
        let position = self.position();
        let ttl = self.period()?;
        if ttl > MAX_TTL { Err(Problem::TtlTooLong { ttl }.at(position)) } else { Ok(ttl) }
    }

    /// A record type that zones hold.
    fn rtype(&mut self) -> Result<RecordType, MasterError> {
        let word = self.plain("a record type")?;
        let shown = || shown(word.text);
        match std::str::from_utf8(word.text).ok().and_then(types::from_text) {
            Some(rtype) if types::is_data(rtype) => Ok(rtype),
            Some(_) => Err(Problem::NotData { rtype: shown() }.at(word.position)),
            None => Err(Problem::UnknownType { mnemonic: shown() }.at(word.position)),
        }
    }

    /// Everything must have been read.
    fn finish(&self) -> Result<(), MasterError> {
        match self.peek() {
            Some(word) => Err(Problem::LeftOver { found: shown(word.text) }.at(word.position)),
            None => Ok(()),
        }
    }
}
