//! How often hickory-server's stock nameserver answers as ours does.
//!
//! Its `Catalog` with its in-memory store, in this process, asked what the others are asked over UDP. Nothing fails by
//! it; the figures are in docs/ARCHITECTURE.md, beside the decision that they are the reason of.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::StreamExt as _;
use hickory_proto::op::Message;
use hickory_server::net::runtime::{TokioRuntimeProvider, TokioTime};
use hickory_server::net::xfer::{BufDnsStreamHandle, Protocol};
use hickory_server::server::{Request, RequestHandler as _, ResponseHandle};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use kubezone::zone::master;
use tokio::runtime::Runtime;

use super::compare::{Case, Said};
use super::coverage::outcome;
use super::questions::Question;
use super::zones::{Family, Zone};
use crate::support::dns::{HEADER, Response};

/// The stock nameserver with zones.
pub(crate) struct Stock {
    catalog: Catalog,
    runtime: Runtime,
}

impl Stock {
    pub(crate) fn new(families: &[Family]) -> Self {
        let mut catalog = Catalog::new();
        for zone in families.iter().flat_map(|family| &family.zones) {
            let records = records(zone);
            let apex = records[0].name.clone();
            let mut store =
                InMemoryZoneHandler::<TokioRuntimeProvider>::empty(apex.clone(), ZoneType::Primary, AxfrPolicy::Deny);
            for record in records {
                store.upsert_mut(record, 1);
            }
            catalog.upsert(apex.into(), vec![Arc::new(store) as Arc<dyn ZoneHandler>]);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { catalog, runtime }
    }

    /// Asks it; nothing where it does not answer.
    pub(crate) fn ask(&self, question: &Question) -> Vec<u8> {
        let peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
        let request = Request::from_bytes(question.encoded().bytes, peer, Protocol::Udp).expect("a request");
        let (sender, mut receiver) = BufDnsStreamHandle::new(peer);
        let handle = ResponseHandle::new(peer, sender, Protocol::Udp);
        self.runtime.block_on(async {
            self.catalog.handle_request::<_, TokioTime>(&request, handle).await;
            receiver.next().await.map(|message| message.into_parts().0).unwrap_or_default()
        })
    }
}

/// A zone's records as hickory-proto reads them from a message: its reader of master files loses some.
fn records(zone: &Zone) -> Vec<hickory_proto::rr::Record> {
    let apex = hickory_proto::rr::Name::from_ascii(zone.apex.to_string()).expect("a name");
    let parsed = master::parse(zone.master_file().as_bytes(), &apex, None).expect("a zone");
    let wire = |(record, parsed): (&super::zones::Record, kubezone::zone::Record)| {
        let mut message = vec![0; HEADER];
        // QR, and one record in ANSWER.
        (message[2], message[7]) = (0x80, 1);
        message.extend(record.owner.wire());
        message.extend(u16::from(parsed.rtype).to_be_bytes());
        message.extend(1u16.to_be_bytes());
        message.extend(parsed.ttl.to_be_bytes());
        message.extend(u16::try_from(parsed.rdata.wire().len()).expect("short").to_be_bytes());
        message.extend(parsed.rdata.wire());
        Message::from_vec(&message).expect("a record").answers.remove(0)
    };
    zone.records.iter().zip(parsed).map(wire).collect()
}

/// How many answers of each outcome are the same.
#[derive(Debug, Default)]
pub(crate) struct Share(BTreeMap<&'static str, (usize, usize)>);

impl Share {
    /// Counts the stock nameserver's answer beside ours.
    pub(crate) fn count(&mut self, case: &Case<'_>, ours: &Response, stock: &[u8]) {
        let (same, all) = self.0.entry(outcome(Some(case), ours)).or_default();
        *all += 1;
        let theirs = Response::read(stock);
        let truncated = |response: &Response| response.flags.contains("TC");
        if let Ok(theirs) = theirs
            && truncated(ours) == truncated(&theirs)
            && Said::new(case, ours).is_same(&Said::new(case, &theirs))
        {
            *same += 1;
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(outcome, (same, all))| {
            writeln!(f, "{outcome:20} {same:6} of {all:6} {:4} %", same * 100 / all)
        })
    }
}
