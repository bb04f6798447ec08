//! What a response comes to, for whoever asked a server of a zone for a name in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{Exchange, Silence};

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// The records.
    Answer,
    /// The name is an alias of this one.
    Alias(Name),
    /// The servers of a zone know that is closer to the name.
    Referral(Name),
    /// There are no records of that type.
    NoData,
    /// There is no such name.
    NxDomain,
    /// The servers of a zone know that is no closer.
    Upward(Name),
    /// An answer without authority.
    NotAuthoritative,
    /// The rest did not fit.
    Truncated,
    /// An RCODE that is no answer.
    Error(ResponseCode),
    /// Nothing came.
    Silence(Silence),
}

impl Heard {
    /// What came of asking a server of `zone`.
    pub(super) fn of(exchange: &Exchange, zone: &Name) -> Self {
        match &exchange.outcome {
            Ok(reply) => Self::in_message(&reply.message, &exchange.question.name, exchange.question.rtype, zone),
            Err(silence) => Self::Silence(silence.clone()),
        }
    }

    fn in_message(message: &Message, qname: &Name, qtype: RecordType, zone: &Name) -> Self {
        let (code, authoritative) = (message.metadata.response_code, message.metadata.authoritative);
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Self::Error(code);
        }
        let alias = alias(message, qname).filter(|_| !matches!(qtype, RecordType::CNAME | RecordType::ANY));
        let is_asked_for =
            |record: &Record| record.name == *qname && (record.record_type() == qtype || qtype == RecordType::ANY);
        let said = if let Some(target) = alias {
            Self::Alias(target)
        } else if message.answers.iter().any(is_asked_for) {
            Self::Answer
        } else if code == ResponseCode::NXDomain {
            Self::NxDomain
        } else if message.metadata.truncation {
            return Self::Truncated;
        } else if let Some(cut) = cut_in(message) {
            // With AA it is still a referral where nothing else can be meant: some servers set it.
            return match zone.zone_of(&cut) && cut != *zone && cut.zone_of(qname) {
                true => Self::Referral(cut),
                false if authoritative => Self::NoData,
                false => Self::Upward(cut),
            };
        } else {
            Self::NoData
        };
        if authoritative { said } else { Self::NotAuthoritative }
    }

    /// Whether somebody who wants to know the answer is any wiser.
    pub(super) fn leads_on(&self) -> bool {
        matches!(self, Self::Referral(_)) || self.is_final()
    }

    /// Whether the zone itself has spoken.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Answer | Self::Alias(_) | Self::NoData | Self::NxDomain)
    }
}

/// The owner of the NS records in AUTHORITY, where there is no SOA beside them.
fn cut_in(message: &Message) -> Option<Name> {
    soa(message).is_none().then_some(())?;
    let cut = message.authorities.iter().find(|record| record.record_type() == RecordType::NS)?;
    Some(cut.name.to_lowercase())
}

/// Where the alias `qname` leads.
pub(super) fn alias(message: &Message, qname: &Name) -> Option<Name> {
    message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *qname => Some(target.0.to_lowercase()),
        _ => None,
    })
}

/// The SOA record that a denial has in AUTHORITY: its owner, its TTL, and what it says.
pub(super) fn soa(message: &Message) -> Option<(&Name, u32, &SOA)> {
    message.authorities.iter().find_map(soa_of)
}

/// The same of a record, if it is one.
pub(super) fn soa_of(record: &Record) -> Option<(&Name, u32, &SOA)> {
    match &record.data {
        RData::SOA(soa) => Some((&record.name, record.ttl, soa)),
        _ => None,
    }
}

/// Seconds that caches remember a denial for (RFC 2308 §5); none: they do not.
pub(super) fn remembered(message: &Message) -> Option<u32> {
    soa(message).map(|(_, ttl, soa)| ttl.min(soa.minimum))
}

/// Who is said to serve `child`, and the glue for them: addresses of names in `parent`, whose servers say so. What they say
/// of others is hearsay, which no resolver goes by.
pub(super) fn servers_in(message: &Message, parent: &Name, child: &Name) -> BTreeMap<Name, BTreeSet<IpAddr>> {
    let mut servers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for record in message.answers.iter().chain(&message.authorities).filter(|record| record.name == *child) {
        if let RData::NS(target) = &record.data {
            servers.entry(target.0.to_lowercase()).or_default();
        }
    }
    for record in message.additionals.iter().filter(|record| parent.zone_of(&record.name)) {
        if let (Some(address), Some(glue)) = (record.data.ip_addr(), servers.get_mut(&record.name.to_lowercase())) {
            glue.insert(address);
        }
    }
    servers
}

/// Whether DS records of `child` are there.
pub(super) fn has_ds(message: &Message, child: &Name) -> bool {
    let mut records = message.answers.iter().chain(&message.authorities);
    records.any(|record| record.name == *child && record.record_type() == RecordType::DS)
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{AAAA, CNAME, NS};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    fn record(owner: &str, data: RData) -> Record {
        Record::from_rdata(name(owner), 300, data)
    }

    fn ns(owner: &str) -> Record {
        record(owner, RData::NS(NS(name("NS.Example."))))
    }

    fn soa(owner: &str) -> Record {
        record(owner, RData::SOA(SOA::new(name("ns."), name("h."), 1, 2, 3, 4, 60)))
    }

    /// What `message` says to a question for a.c2.k8s.ooo AAAA that a server of k8s.ooo was asked.
    fn check(flags: &str, answers: &[Record], authorities: &[Record], expected: &Heard) {
        let mut message = Message::query();
        message.metadata.authoritative = flags.contains("aa");
        message.metadata.truncation = flags.contains("tc");
        message.metadata.response_code = match flags {
            flags if flags.contains("nxdomain") => ResponseCode::NXDomain,
            flags if flags.contains("servfail") => ResponseCode::ServFail,
            _ => ResponseCode::NoError,
        };
        message.answers = answers.to_vec();
        message.authorities = authorities.to_vec();
        let heard = Heard::in_message(&message, &name("a.c2.k8s.ooo."), RecordType::AAAA, &name("k8s.ooo."));
        assert_eq!(heard, *expected, "{flags} {answers:?} {authorities:?}");
    }

    #[test]
    fn a_referral_leads_closer() {
        let c2 = Heard::Referral(name("c2.k8s.ooo."));
        check("", &[], &[ns("C2.k8s.ooo.")], &c2);
        check("aa", &[], &[ns("c2.k8s.ooo.")], &c2);
        check("", &[], &[ns("k8s.ooo.")], &Heard::Upward(name("k8s.ooo.")));
        check("", &[], &[ns(".")], &Heard::Upward(Name::root()));
        check("", &[], &[ns("c3.k8s.ooo.")], &Heard::Upward(name("c3.k8s.ooo.")));
    }

    #[test]
    fn an_answer_has_authority() {
        let address = record("a.c2.k8s.ooo.", RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
        check("aa", std::slice::from_ref(&address), &[ns("k8s.ooo.")], &Heard::Answer);
        check("", &[address], &[], &Heard::NotAuthoritative);
        let alias = record("A.c2.k8s.ooo.", RData::CNAME(CNAME(name("B.example."))));
        check("aa nxdomain", &[alias], &[], &Heard::Alias(name("b.example.")));
        check("aa", &[], &[soa("k8s.ooo.")], &Heard::NoData);
        check("aa", &[], &[ns("k8s.ooo.")], &Heard::NoData);
        check("aa nxdomain", &[], &[soa("k8s.ooo.")], &Heard::NxDomain);
        check("nxdomain", &[], &[soa("k8s.ooo.")], &Heard::NotAuthoritative);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        check("tc aa", &[], &[], &Heard::Truncated);
        check("servfail aa", &[], &[ns("c2.k8s.ooo.")], &Heard::Error(ResponseCode::ServFail));
    }

    #[test]
    fn glue_is_believed_of_names_in_the_zone_of_who_says_it() {
        let mut message = Message::query();
        message.authorities = vec![ns("c2.k8s.ooo."), record("c2.k8s.ooo.", RData::NS(NS(name("ns.c2.k8s.ooo."))))];
        let address = |last| RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        message.additionals = vec![record("NS.c2.k8s.ooo.", address(1)), record("ns.example.", address(2))];
        let servers = servers_in(&message, &name("k8s.ooo."), &name("c2.k8s.ooo."));
        let glue: Vec<_> = servers.into_iter().map(|(name, glue)| (name.to_ascii(), glue.len())).collect();
        assert_eq!(glue, [("ns.example.".to_owned(), 0), ("ns.c2.k8s.ooo.".to_owned(), 1)]);
    }
}
