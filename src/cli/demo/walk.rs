//! A walk from the root to an answer, as a resolver does it.
//!
//! It asks one server at a time, and what it learns from a referral it keeps: the next
//! walk begins at the closest zone that it knows the server of. Nothing but
//! the responses leads it on; only that an address of the small world is a port of
//! `[::1]` here has to be told.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::time::{Instant, sleep};

use crate::delegation::{Asker, PAYLOAD, Question, Silence, Transport, World};

/// How long a change may take to be answered.
const CHANGE: Duration = Duration::from_secs(10);

/// More referrals than a walk has when every one leads closer.
const MAX_STEPS: usize = 16;

/// A question that led nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalkError {
    #[error("{server}: {silence}")]
    Silent { server: SocketAddr, silence: Silence },
    #[error("{server} answers {code} for {qname} {qtype}")]
    Refused { server: SocketAddr, qname: Name, qtype: RecordType, code: ResponseCode },
    #[error("{server} refers to {zone}, for which there is no glue that leads anywhere here")]
    Lost { server: SocketAddr, zone: Name },
    #[error("the referrals for {qname} do not end")]
    Endless { qname: Name },
    #[error("{server} does not answer as expected for {qname} {qtype} within {CHANGE:?}")]
    Unchanged { server: SocketAddr, qname: Name, qtype: RecordType },
}

/// What a response comes down to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gist {
    /// The records asked for.
    Answer,
    /// Others know: the servers of this zone.
    Referral(Name),
    /// The name exists, without records of that type.
    NoData,
    /// The name does not exist.
    NxDomain,
}

/// One question and what came back.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) server: SocketAddr,
    pub(super) qname: Name,
    pub(super) qtype: RecordType,
    pub(super) gist: Gist,
    pub(super) response: Message,
}

impl Step {
    /// The records that say so: the answer, or the referral with its glue.
    pub(super) fn records(&self) -> Vec<&Record> {
        let Message { answers, authorities, additionals, .. } = &self.response;
        match self.gist {
            Gist::Answer => answers.iter().collect(),
            Gist::Referral(_) => authorities.iter().chain(additionals).collect(),
            Gist::NoData | Gist::NxDomain => authorities.iter().collect(),
        }
    }

    /// The serial of the SOA record among them.
    pub(super) fn serial(&self) -> Option<u32> {
        self.records().into_iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        })
    }
}

/// Who walks: what is known of the world so far.
#[derive(Debug)]
pub(super) struct Walker {
    /// Where the addresses of the world are on this machine.
    places: Vec<(Ipv6Addr, SocketAddr)>,
    /// The zones whose server is known; a zone stands behind those above it.
    known: Vec<(Name, SocketAddr)>,
}

impl Walker {
    /// A walker who knows a root server and nothing else.
    pub(super) fn new(root: SocketAddr, places: Vec<(Ipv6Addr, SocketAddr)>) -> Self {
        Self { places, known: vec![(Name::root(), root)] }
    }

    /// Asks from the closest known zone down, until there is an answer: every step of the way.
    pub(super) async fn walk(&mut self, qname: &str, qtype: RecordType) -> Result<Vec<Step>, WalkError> {
        let qname = Name::from_ascii(qname).expect("a name of ours");
        let mut steps = Vec::new();
        while steps.len() < MAX_STEPS {
            let (_, server) = self.known.iter().rfind(|(zone, _)| zone.zone_of(&qname)).expect("the root is known");
            let step = ask(*server, &qname, qtype).await?;
            let Gist::Referral(zone) = step.gist.clone() else {
                steps.push(step);
                return Ok(steps);
            };
            let next = self.follow(&step).ok_or_else(|| WalkError::Lost { server: *server, zone: zone.clone() })?;
            self.known.push((zone, next));
            steps.push(step);
        }
        Err(WalkError::Endless { qname })
    }

    /// The first server of a referral whose glue is the address of a place.
    fn follow(&self, referral: &Step) -> Option<SocketAddr> {
        let targets = referral.response.authorities.iter().filter_map(|record| match &record.data {
            RData::NS(ns) => Some(&ns.0),
            _ => None,
        });
        let glue = targets
            .flat_map(|target| referral.response.additionals.iter().filter(move |record| record.name == *target));
        glue.filter_map(|record| record.data.ip_addr()).find_map(|address| {
            self.places.iter().find(|(place, _)| IpAddr::V6(*place) == address).map(|(_, server)| *server)
        })
    }
}

/// Asks again and again until the response is as `expected`.
pub(super) async fn ask_until(
    server: SocketAddr,
    qname: &str,
    qtype: RecordType,
    expected: impl Fn(&Step) -> bool,
) -> Result<Step, WalkError> {
    let qname = Name::from_ascii(qname).expect("a name of ours");
    let deadline = Instant::now() + CHANGE;
    loop {
        match ask(server, &qname, qtype).await {
            Ok(step) if expected(&step) => return Ok(step),
            // A zone that is not loaded yet is SERVFAIL.
            Ok(_) | Err(WalkError::Refused { .. }) if Instant::now() < deadline => {}
            Ok(_) => return Err(WalkError::Unchanged { server, qname, qtype }),
            Err(error) => return Err(error),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn ask(server: SocketAddr, qname: &Name, qtype: RecordType) -> Result<Step, WalkError> {
    let response = exchange(server, qname, qtype).await?;
    let gist = gist(&response).ok_or_else(|| WalkError::Refused {
        server,
        qname: qname.clone(),
        qtype,
        code: response.metadata.response_code,
    })?;
    Ok(Step { server, qname: qname.clone(), qtype, gist, response })
}

fn gist(response: &Message) -> Option<Gist> {
    match response.metadata.response_code {
        ResponseCode::NXDomain => Some(Gist::NxDomain),
        ResponseCode::NoError if !response.answers.is_empty() => Some(Gist::Answer),
        ResponseCode::NoError => {
            let cut = response.authorities.iter().find(|record| record.record_type() == RecordType::NS);
            let authoritative = response.metadata.authoritative;
            Some(cut.filter(|_| !authoritative).map_or(Gist::NoData, |cut| Gist::Referral(cut.name.clone())))
        }
        _ => None,
    }
}

/// What `server` says to a question.
async fn exchange(server: SocketAddr, qname: &Name, qtype: RecordType) -> Result<Message, WalkError> {
    let world = World { port: server.port(), ..World::rooted(vec![server.ip()]) };
    let question = Question {
        name: qname.clone(),
        rtype: qtype,
        transport: Transport::Udp,
        payload: Some(PAYLOAD),
        dnssec: false,
    };
    let exchange = Asker::new(world, 1).ask(server.ip(), question).await;
    exchange.outcome.map(|reply| reply.message).map_err(|silence| WalkError::Silent { server, silence })
}
