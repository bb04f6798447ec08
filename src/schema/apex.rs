//! What stands at every zone's apex.

use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData};

use super::NameServer;
use crate::zone::{Record, Serial};

/// Seconds after which a secondary asks for the SOA again.
const REFRESH: i32 = 14_400;
/// Seconds after which a secondary that got no answer asks again.
const RETRY: i32 = 3_600;
/// Seconds after which a secondary that got no answer stops answering itself.
const EXPIRE: i32 = 1_209_600;

/// Who answers for a zone, and whom to write to.
pub(super) struct Apex<'z> {
    pub(super) origin: &'z Name,
    /// The first is the SOA's MNAME.
    pub(super) nameservers: &'z [NameServer],
    pub(super) hostmaster: &'z Name,
    pub(super) negative_ttl: u32,
    pub(super) nameserver_ttl: u32,
}

impl Apex<'_> {
    /// The SOA record and the NS records; without name servers there are none.
    pub(super) fn records(&self, serial: Serial) -> Vec<Record> {
        let record = |rdata: &RData| Record::new(self.origin.clone(), self.nameserver_ttl, rdata);
        let soa = self.nameservers.first().map(|primary| {
            let (mname, rname) = (primary.name.clone(), self.hostmaster.clone());
            record(&RData::SOA(SOA::new(mname, rname, serial.0, REFRESH, RETRY, EXPIRE, self.negative_ttl)))
        });
        let ns = self.nameservers.iter().map(|nameserver| record(&RData::NS(NS(nameserver.name.clone()))));
        soa.into_iter().chain(ns).collect()
    }
}
