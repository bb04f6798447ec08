//! The walk from the root to an answer, asking everybody on the way.
//!
//! At each zone all of its servers are asked at all of their addresses, over UDP and TCP, as resolvers would ask them:
//! for the name itself. What they refer to is the next zone, with the servers and the glue that the referrals have, and with
//! nothing else; so each zone from the root down becomes a [`Cut`]. A broken server does not end the walk while another one
//! leads on. What strangers say is followed within bounds: so many servers, addresses, zones, aliases, questions and seconds.
//!
//! Nothing is judged here. What a walk is told as is a [`Trace`](super::Trace): see trace.rs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt as _, join_all};
use futures::stream::{FuturesUnordered, StreamExt as _};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use tokio::time::timeout;

use super::gist::{self, Heard};
use super::inquiry::Inquiry;
use super::trace::Why;
use super::{Cut, Exchange, Families, Origin, PAYLOAD, Question, Reply, Silence, Transport, Witness, World};

/// Name servers of a zone that are asked: as many as the root has, the most that anybody needs.
const SERVERS: usize = 13;

/// Addresses of a name server that are asked.
const ADDRESSES: usize = 8;

/// Servers that are asked at a time for the address of another.
const AT_A_TIME: usize = 6;

/// How long a server that knows EDNS takes at most, as a rule.
const LATE: Duration = Duration::from_secs(1);

/// Referrals on the way of a name, aliases on the way to an answer, and name servers on the way to the address of another.
const ZONES: usize = 32;
const LEGS: usize = 12;
const DEPTH: usize = 6;

/// A question that was followed from the root to its answer.
#[derive(Debug, Clone)]
pub struct Walk {
    /// What was asked for.
    pub name: Name,
    /// And of which type.
    pub rtype: RecordType,
    /// The way of the name, then those of the targets of aliases; at least one.
    pub legs: Vec<Way>,
    /// Over what was asked.
    pub families: Families,
    /// Questions that were asked.
    pub questions: usize,
    /// How long it took.
    pub took: Duration,
}

/// The way of one name.
#[derive(Debug, Clone)]
pub struct Way {
    /// The name.
    pub name: Name,
    /// The zones on it, from the root down; behind an alias from the closest zone that was seen already, which comes again.
    /// At least one.
    pub zones: Vec<Passed>,
    /// Where it ended.
    pub end: Arrival,
}

/// A zone on the way.
#[derive(Debug, Clone)]
pub struct Passed {
    /// What was heard of it. Each of those below was also asked for the name, over UDP and TCP.
    pub cut: Cut,
    /// Why those that are lost are.
    pub why: BTreeMap<Name, Why>,
    /// Addresses that are known and were left out.
    pub left_out: usize,
    /// Whether an earlier leg came through it.
    pub again: bool,
}

/// How the way of a name ended, in the zone that it came to last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// There are records.
    Answer,
    /// The name is an alias.
    Alias(Name),
    /// The name has no records of that type.
    NoData,
    /// There is no such name; the topmost name that does not exist, which is the name or above it.
    NxDomain(Name),
    /// What should be a zone by its name, or by what is asked for, is none. That zone is the last on the way.
    Undelegated,
    /// Nobody there says what leads on.
    Broken,
    /// They refer to a zone that is no closer.
    Upward(Name),
    /// An alias of a name that it was come from.
    Circle(Name),
    /// Too many zones, aliases, questions, or seconds.
    Endless,
}

/// Follows `name` and `rtype` through `world`.
pub async fn walk(world: World, name: &Name, rtype: RecordType) -> Walk {
    let started = Instant::now();
    let mut walker = Walker { inquiry: Inquiry::new(world), name: name.to_lowercase(), rtype, known: Vec::new() };
    let mut legs: Vec<Way> = Vec::new();
    loop {
        let mut way = walker.way().await;
        if let Arrival::Alias(target) = &way.end {
            let target = target.clone();
            if target == way.name || legs.iter().any(|leg| leg.name == target) {
                way.end = Arrival::Circle(target);
            } else if legs.len() + 1 < LEGS {
                legs.push(way);
                walker.name = target;
                continue;
            } else {
                way.end = Arrival::Endless;
            }
        }
        legs.push(way);
        break;
    }
    let families = walker.inquiry.world().families;
    Walk { name: name.clone(), rtype, legs, families, questions: walker.inquiry.asked(), took: started.elapsed() }
}

/// Who walks.
struct Walker {
    inquiry: Inquiry,
    /// What is looked for.
    name: Name,
    rtype: RecordType,
    /// The zones that were come through, in that order.
    known: Vec<Passed>,
}

/// What the servers of a zone say, all together.
enum Lead {
    /// There is a zone below.
    Down(Name),
    /// It ends here.
    End(Arrival),
}

impl Walker {
    async fn way(&mut self) -> Way {
        let mut zones = vec![self.begin().await];
        let end = loop {
            let here = zones.last().expect("the first one at least");
            match self.lead(&here.cut).await {
                Lead::End(end) => break end,
                Lead::Down(_) if zones.len() == ZONES => break Arrival::Endless,
                Lead::Down(child) => {
                    let next = self.descend(&here.cut, &child).await;
                    zones.push(next);
                }
            }
        };
        // What ended for want of questions or time has not ended by itself.
        let end = if end == Arrival::Broken && self.inquiry.is_exhausted() { Arrival::Endless } else { end };
        if matches!(end, Arrival::NoData | Arrival::NxDomain(_))
            && let Some(zone) =
                wanted(&self.name, self.rtype).filter(|zone| is_below(zone, &zones.last().expect("one").cut.zone))
        {
            let undelegated = self.descend(&zones.last().expect("one").cut, &zone).await;
            zones.push(undelegated);
            return self.arrived(zones, Arrival::Undelegated);
        }
        self.arrived(zones, end)
    }

    fn arrived(&mut self, zones: Vec<Passed>, end: Arrival) -> Way {
        let new = zones.iter().filter(|passed| !passed.again).cloned();
        self.known.extend(new.collect::<Vec<_>>());
        Way { name: self.name.clone(), zones, end }
    }

    /// The closest zone to the name that is known already, asked for it; the root, at first.
    async fn begin(&self) -> Passed {
        let leads_on = |passed: &&Passed| passed.cut.zone.zone_of(&self.name) && !passed.cut.below.is_empty();
        let closest = self.known.iter().filter(leads_on).max_by_key(|passed| labels(&passed.cut.zone));
        if let Some(closest) = closest {
            let below = join_all(closest.cut.below.iter().map(|witness| async {
                let said = [witness.said.clone(), self.question(witness.address).await].concat();
                Witness { said, ..witness.clone() }
            }));
            let cut = Cut { below: below.await, ..closest.cut.clone() };
            return Passed { cut, again: true, ..closest.clone() };
        }
        let hints = self.inquiry.world().roots.iter();
        let servers = hints.map(|hint| (hint.name.to_lowercase(), (Origin::Hint, hint.addresses.clone()))).collect();
        let (targets, left_out) = self.targets(servers);
        let below = self.examine(targets, &Name::root(), &[], false).await;
        let cut = Cut { zone: Name::root(), parent: Name::root(), above: Vec::new(), below, lost: Vec::new() };
        Passed { cut, why: BTreeMap::new(), left_out, again: false }
    }

    /// Where to go on from a zone, going by what its servers said to the question.
    async fn lead(&self, here: &Cut) -> Lead {
        let zone = &here.zone;
        let mut votes: Vec<(Heard, usize, &Witness)> = Vec::new();
        for witness in &here.below {
            let heard = heard(witness, &self.name, self.rtype, zone);
            match votes.iter_mut().find(|(other, _, _)| *other == heard) {
                Some((_, count, _)) => *count += 1,
                None => votes.push((heard, 1, witness)),
            }
        }
        // Among equals the first one said.
        votes.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        let referrals = votes.iter().filter_map(|(heard, _, _)| match heard {
            Heard::Referral(child) => Some(child),
            _ => None,
        });
        // The one nearest to the root: those below have their turn.
        if let Some(child) = referrals.min_by_key(|child| labels(child)) {
            return Lead::Down(child.clone());
        }
        let Some((heard, _, witness)) = votes.iter().find(|(heard, _, _)| heard.is_final()) else {
            let upward = votes.iter().find_map(|(heard, _, _)| match heard {
                Heard::Upward(to) => Some(to.clone()),
                _ => None,
            });
            return Lead::End(upward.map_or(Arrival::Broken, Arrival::Upward));
        };
        if let Some(child) = self.hidden(here, witness, heard).await {
            return Lead::Down(child);
        }
        Lead::End(match heard {
            Heard::Answer => Arrival::Answer,
            Heard::Alias(target) => Arrival::Alias(target.clone()),
            Heard::NoData => Arrival::NoData,
            _ => Arrival::NxDomain(self.missing(here, witness.address).await),
        })
    }

    /// The next zone below, where one server has both and answers for it at once: no referral shows it.
    async fn hidden(&self, here: &Cut, witness: &Witness, heard: &Heard) -> Option<Name> {
        // Of all types only DS belongs to the parent (RFC 4035 §3.1.4.1).
        if self.rtype == RecordType::DS && *heard == Heard::Answer {
            return None;
        }
        let reply = witness.reply(&self.name, self.rtype)?;
        let apex = match heard {
            Heard::NoData | Heard::NxDomain => gist::soa(&reply.message).map(|(owner, _, _)| owner.to_lowercase()),
            // An alias is no apex, and to whatever it is asked, the answer is where it leads.
            Heard::Alias(_) => self.apex(witness.address, &self.name.base_name()).await,
            _ => self.apex(witness.address, &self.name).await,
        };
        let apex = apex.filter(|apex| is_below(apex, &here.zone) && apex.zone_of(&self.name))?;
        let between = (labels(&here.zone) + 1..=labels(&apex)).map(|count| apex.trim_to(count));
        let cuts = join_all(between.map(|name| async {
            let reply = self.reply(witness.address, &name, RecordType::NS).await?;
            let is_cut = !gist::servers_in(&reply.message, &here.zone, &name).is_empty();
            is_cut.then_some(name)
        }));
        Some(cuts.await.into_iter().flatten().next().unwrap_or(apex))
    }

    /// The zone that `name` is in, as `server` says.
    async fn apex(&self, server: IpAddr, name: &Name) -> Option<Name> {
        let reply = self.reply(server, name, RecordType::SOA).await?;
        let own = reply.message.answers.iter().find_map(gist::soa_of).filter(|(owner, _, _)| *owner == name);
        own.or_else(|| gist::soa(&reply.message)).map(|(owner, _, _)| owner.to_lowercase())
    }

    /// The topmost name on the way from the zone to the name that does not exist.
    async fn missing(&self, here: &Cut, server: IpAddr) -> Name {
        let above = (labels(&here.zone) + 1..labels(&self.name)).map(|count| self.name.trim_to(count));
        let denied = join_all(above.map(|name| async {
            let reply = self.reply(server, &name, RecordType::SOA).await?;
            (reply.rcode() == ResponseCode::NXDomain).then_some(name)
        }));
        denied.await.into_iter().flatten().next().unwrap_or_else(|| self.name.clone())
    }

    /// What there is to hear of `child`, from the servers of the zone `here` and from its own.
    async fn descend(&self, here: &Cut, child: &Name) -> Passed {
        let parent = &here.zone;
        let above = join_all(here.below.iter().map(|witness| async {
            let (udp, tcp) = tokio::join!(
                self.ask(witness.address, child, RecordType::NS, Transport::Udp, true),
                self.ask(witness.address, child, RecordType::NS, Transport::Tcp, true),
            );
            let of_name = witness.said.iter().filter(|exchange| exchange.question.name == self.name);
            let said = of_name.cloned().chain([udp, tcp]).collect();
            Witness { said, ..witness.clone() }
        }));
        let above = above.await;
        let mut servers: BTreeMap<Name, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut has_ds = false;
        for witness in &above {
            for exchange in &witness.said {
                let Ok(Reply { message, .. }) = &exchange.outcome else { continue };
                has_ds |= gist::has_ds(message, child);
                for (name, glue) in gist::servers_in(message, parent, child) {
                    servers.entry(name).or_default().extend(glue);
                }
            }
        }
        let too_many = servers.keys().nth(SERVERS).cloned().map(|name| servers.split_off(&name)).unwrap_or_default();
        let too_many: usize = too_many.values().map(|glue| glue.len().max(1)).sum();
        let within: Vec<_> = servers.keys().filter(|name| child.zone_of(name)).cloned().collect();
        let (servers, why) = self.locate(servers, child).await;
        let (targets, left_out) = self.targets(servers);
        let below = self.examine(targets, child, &within, has_ds).await;
        let lost = why.keys().cloned().collect();
        let cut = Cut { zone: child.clone(), parent: parent.clone(), above, below, lost };
        Passed { cut, why, left_out: left_out + too_many, again: false }
    }

    /// The addresses of `servers`: their glue, or, outside of `child`, what is found from the root down.
    async fn locate(
        &self,
        servers: BTreeMap<Name, BTreeSet<IpAddr>>,
        child: &Name,
    ) -> (BTreeMap<Name, (Origin, Vec<IpAddr>)>, BTreeMap<Name, Why>) {
        let found = join_all(servers.into_iter().map(|(name, glue)| async {
            let found = if !glue.is_empty() {
                Ok((Origin::Glue, glue.into_iter().collect()))
            } else if child.zone_of(&name) {
                Err(Why::NoGlue)
            } else {
                self.find(&name, Vec::new()).await.map(|addresses| (Origin::Answer, addresses))
            };
            (name, found)
        }));
        let (mut located, mut lost) = (BTreeMap::new(), BTreeMap::new());
        for (name, found) in found.await {
            match found {
                Ok(server) => drop(located.insert(name, server)),
                Err(why) => drop(lost.insert(name, why)),
            }
        }
        (located, lost)
    }

    /// The addresses of `servers` that are asked, IPv6 first, and how many are not.
    fn targets(&self, servers: BTreeMap<Name, (Origin, Vec<IpAddr>)>) -> (Vec<(Name, Origin, IpAddr)>, usize) {
        let mut left_out = 0;
        let mut targets = Vec::new();
        for (name, (origin, mut addresses)) in servers {
            addresses.retain(|address| self.inquiry.world().asks(*address));
            addresses.sort_by_key(|address| (address.is_ipv4(), *address));
            // Roots that nobody has told a name of are all one server by name.
            let room = if name.is_root() { SERVERS * ADDRESSES } else { ADDRESSES };
            left_out += addresses.len().saturating_sub(room);
            targets.extend(addresses.into_iter().take(room).map(|address| (name.clone(), origin, address)));
        }
        (targets, left_out)
    }

    /// Asks the servers of `zone` what `asked-below` of [`Cut`] says, and the question.
    async fn examine(
        &self,
        targets: Vec<(Name, Origin, IpAddr)>,
        zone: &Name,
        within: &[Name],
        has_ds: bool,
    ) -> Vec<Witness> {
        let witnesses = targets.into_iter().map(|(name, origin, address)| async move {
            let addresses = within.iter().flat_map(|server| [(server, RecordType::AAAA), (server, RecordType::A)]);
            let keys = has_ds.then_some((zone, RecordType::DNSKEY));
            let rest = std::iter::once((zone, RecordType::NS)).chain(addresses).chain(keys);
            let rest = join_all(rest.map(|(name, rtype)| async move {
                let udp = self.ask(address, name, rtype, Transport::Udp, false).await;
                let truncated = udp.outcome.as_ref().is_ok_and(|reply| reply.message.metadata.truncation);
                let tcp =
                    if truncated { Some(self.ask(address, name, rtype, Transport::Tcp, false).await) } else { None };
                [Some(udp), tcp]
            }));
            let (mut said, tcp, rest, question) = tokio::join!(
                self.soa(address, zone),
                self.ask(address, zone, RecordType::SOA, Transport::Tcp, false),
                rest,
                self.question(address),
            );
            said.push(tcp);
            said.extend(rest.into_iter().flatten().flatten());
            // The question may be one of these, asked with DO: then it is there twice, and the first counts.
            said.extend(question);
            Witness { name, address, origin, said }
        });
        join_all(witnesses).await
    }

    /// The SOA over UDP, and once more without EDNS where it does not answer with EDNS.
    async fn soa(&self, server: IpAddr, zone: &Name) -> Vec<Exchange> {
        let rtype = RecordType::SOA;
        let plain = Question { name: zone.clone(), rtype, transport: Transport::Udp, payload: None, dnssec: false };
        let mut with = pin!(self.ask(server, zone, rtype, Transport::Udp, false));
        let without = self.inquiry.ask(server, plain);
        let Ok(with) = timeout(LATE, &mut with).await else {
            // It may be long: both are waited for at once.
            let (with, without) = tokio::join!(with, without);
            return vec![with, without];
        };
        let knows_edns = match &with.outcome {
            Ok(reply) => reply.rcode() == ResponseCode::NoError && reply.message.edns.is_some(),
            // Without EDNS that would not be otherwise.
            Err(silence) => matches!(silence, Silence::NoRoute | Silence::Refused | Silence::Unasked),
        };
        if knows_edns { vec![with] } else { vec![with, without.await] }
    }

    /// The question, over both.
    async fn question(&self, server: IpAddr) -> Vec<Exchange> {
        let (udp, tcp) = tokio::join!(
            self.ask(server, &self.name, self.rtype, Transport::Udp, true),
            self.ask(server, &self.name, self.rtype, Transport::Tcp, true),
        );
        vec![udp, tcp]
    }

    async fn ask(
        &self,
        server: IpAddr,
        name: &Name,
        rtype: RecordType,
        transport: Transport,
        dnssec: bool,
    ) -> Exchange {
        let question = Question { name: name.clone(), rtype, transport, payload: Some(PAYLOAD), dnssec };
        self.inquiry.ask(server, question).await
    }

    /// A response, over TCP where a datagram does not hold it.
    async fn reply(&self, server: IpAddr, name: &Name, rtype: RecordType) -> Option<Reply> {
        self.exchange(server, name, rtype).await.outcome.ok()
    }

    /// The addresses of a name server, from the closest known zone down, as a resolver looks for them: the first answer
    /// counts. `seeking`: what this is needed for.
    fn find<'a>(&'a self, name: &'a Name, seeking: Vec<Name>) -> BoxFuture<'a, Result<Vec<IpAddr>, Why>> {
        async move {
            if seeking.contains(name) {
                return Err(Why::Circle);
            }
            if seeking.len() > DEPTH {
                return Err(Why::Unanswered);
            }
            let closest =
                self.known.iter().filter(|passed| passed.cut.zone.zone_of(name) && !passed.cut.below.is_empty());
            let closest = closest.max_by_key(|passed| labels(&passed.cut.zone));
            let (mut zone, mut servers) = match closest {
                Some(Passed { cut, .. }) => {
                    (cut.zone.clone(), cut.below.iter().map(|witness| witness.address).collect::<Vec<_>>())
                }
                None => {
                    let hints = self.inquiry.world().roots.iter().flat_map(|hint| &hint.addresses);
                    (Name::root(), hints.copied().collect())
                }
            };
            for _ in 0..ZONES {
                let (heard, reply) =
                    self.first(&servers, name, RecordType::AAAA, &zone).await.ok_or(Why::Unanswered)?;
                match heard {
                    Heard::Referral(child) => {
                        servers = self.referred(&reply, &zone, &child, name, &seeking).await?;
                        zone = child;
                    }
                    Heard::Answer | Heard::NoData => {
                        let over_ipv4 = self.first(&servers, name, RecordType::A, &zone).await;
                        let replies = [Some(reply), over_ipv4.map(|(_, reply)| reply)];
                        let records = replies.iter().flatten().flat_map(|reply| &reply.message.answers);
                        let own = records.filter(|record| record.name == *name);
                        let addresses: Vec<_> = own.filter_map(|record| record.data.ip_addr()).collect();
                        return if addresses.is_empty() { Err(Why::NoAddress) } else { Ok(addresses) };
                    }
                    // A name server's name is no alias (RFC 2181 §10.3).
                    _ => return Err(Why::NoAddress),
                }
            }
            Err(Why::Unanswered)
        }
        .boxed()
    }

    /// Where the servers of `child` are, to which `reply` refers.
    async fn referred(
        &self,
        reply: &Reply,
        zone: &Name,
        child: &Name,
        name: &Name,
        seeking: &[Name],
    ) -> Result<Vec<IpAddr>, Why> {
        let servers = gist::servers_in(&reply.message, zone, child);
        let glue: Vec<_> = servers.values().flatten().copied().collect();
        if !glue.is_empty() {
            return Ok(glue);
        }
        let seeking = [seeking, std::slice::from_ref(name)].concat();
        let mut why = Why::NoGlue;
        for server in servers.keys().take(SERVERS).filter(|server| !child.zone_of(server)) {
            match self.find(server, seeking.clone()).await {
                Ok(addresses) => return Ok(addresses),
                Err(other) => why = other,
            }
        }
        Err(why)
    }

    /// What the first of `servers` says that has something to say.
    async fn first(&self, servers: &[IpAddr], name: &Name, rtype: RecordType, zone: &Name) -> Option<(Heard, Reply)> {
        let asked: Vec<_> = servers.iter().filter(|server| self.inquiry.world().asks(**server)).collect();
        for some in asked.chunks(AT_A_TIME) {
            let mut replies: FuturesUnordered<_> =
                some.iter().map(|server| self.exchange(**server, name, rtype)).collect();
            while let Some(exchange) = replies.next().await {
                let heard = Heard::of(&exchange, zone);
                if let (true, Ok(reply)) = (heard.leads_on(), exchange.outcome) {
                    return Some((heard, reply));
                }
            }
        }
        None
    }

    /// The exchange that has the response as a whole.
    async fn exchange(&self, server: IpAddr, name: &Name, rtype: RecordType) -> Exchange {
        let udp = self.ask(server, name, rtype, Transport::Udp, false).await;
        if udp.outcome.as_ref().is_ok_and(|reply| !reply.message.metadata.truncation) {
            return udp;
        }
        self.ask(server, name, rtype, Transport::Tcp, false).await
    }
}

/// The zone that should be: of a Service's name what follows `svc`, the cluster's (Kubernetes DNS-Based Service Discovery
/// §2); of a question for what only an apex has, its name.
fn wanted(name: &Name, rtype: RecordType) -> Option<Name> {
    if matches!(rtype, RecordType::NS | RecordType::SOA | RecordType::DNSKEY) {
        return Some(name.clone());
    }
    let svc = name.iter().position(|label| label == b"svc")?;
    let zone = name.trim_to(labels(name) - svc - 1);
    (!zone.is_root()).then_some(zone)
}

/// What a server of `zone` said to a question, over whichever transport it answered.
pub(super) fn heard(witness: &Witness, name: &Name, rtype: RecordType, zone: &Name) -> Heard {
    let over = |transport| witness.heard(name, rtype, transport).map(|exchange| Heard::of(exchange, zone));
    let unasked = Heard::Silence(Silence::Unasked);
    let udp = over(Transport::Udp).unwrap_or_else(|| unasked.clone());
    if udp.leads_on() {
        return udp;
    }
    let tcp = over(Transport::Tcp).unwrap_or(unasked);
    if tcp.leads_on() { tcp } else { udp }
}

/// Whether `name` is below `zone`, and not that itself.
fn is_below(name: &Name, zone: &Name) -> bool {
    name != zone && zone.zone_of(name)
}

/// The labels of a name, without the root's.
pub(super) fn labels(name: &Name) -> usize {
    name.iter().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_zone_there_should_be() {
        let check = |name: &str, rtype, expected: Option<&str>| {
            let wanted = wanted(&Name::from_ascii(name).expect("a name"), rtype);
            assert_eq!(wanted.map(|zone| zone.to_ascii()), expected.map(str::to_owned), "{name}");
        };
        check("web.shop.svc.c2.k8s.ooo.", RecordType::AAAA, Some("c2.k8s.ooo."));
        check("_https._tcp.web.shop.svc.c2.k8s.ooo.", RecordType::SRV, Some("c2.k8s.ooo."));
        check("c2.k8s.ooo.", RecordType::NS, Some("c2.k8s.ooo."));
        check("www.example.", RecordType::AAAA, None);
        check("web.shop.svc.", RecordType::AAAA, None);
    }
}
