//! Which world to look at: the Internet, or a small one that stands in for it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use clap::Args;

use super::Failure;
use crate::delegation::{Families, Root, World};

/// Where a walk from the root begins, and where it may go.
#[derive(Debug, Args)]
pub(super) struct WorldArgs {
    /// A root server, for a world of one's own; repeat it, or separate several by commas [default: the Internet's]
    #[arg(long, value_name = "ADDR[:PORT]", value_delimiter = ',')]
    root: Vec<Root>,
    /// The port that name servers listen on
    #[arg(long, value_name = "PORT", default_value = "53")]
    port: u16,
    /// Where a name server's address really is, for a world on one machine: as glue has it, and where to send instead
    #[arg(long, value_name = "ADDR=ADDR:PORT", value_delimiter = ',')]
    at: Vec<Place>,
    /// Asks over IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Asks over IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
}

/// Where what is meant for an address is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    address: IpAddr,
    is_at: SocketAddr,
}

/// Places that are none.
#[derive(Debug, PartialEq, thiserror::Error)]
enum WorldProblem {
    #[error("a place is ADDR=ADDR:PORT, as in 2001:db8::53=[::1]:5301")]
    Place,
    #[error("{address} is said to be at {one} and at {other}")]
    Twice { address: IpAddr, one: SocketAddr, other: SocketAddr },
}

impl FromStr for Place {
    type Err = WorldProblem;

    fn from_str(text: &str) -> Result<Self, WorldProblem> {
        let (address, is_at) = text.split_once('=').ok_or(WorldProblem::Place)?;
        let address = address.parse().map_err(|_| WorldProblem::Place)?;
        Ok(Self { address, is_at: is_at.parse().map_err(|_| WorldProblem::Place)? })
    }
}

impl WorldArgs {
    /// The world that is meant.
    ///
    /// # Errors
    ///
    /// Usage: one address is said to be at two places.
    pub(super) fn world(&self) -> Result<World, Failure> {
        let mut world = World::beginning_at(&self.root);
        world.port = self.port;
        world.families = match (self.ipv4, self.ipv6) {
            (true, _) => Families::Ipv4,
            (_, true) => Families::Ipv6,
            _ => Families::Both,
        };
        world.places = self.places().map_err(|problem| Failure::Usage(problem.into()))?;
        Ok(world)
    }

    fn places(&self) -> Result<BTreeMap<IpAddr, SocketAddr>, WorldProblem> {
        let of_root = |root: &Root| Some(Place { address: root.address, is_at: root.place()? });
        let mut places = BTreeMap::new();
        for Place { address, is_at: other } in self.root.iter().filter_map(of_root).chain(self.at.iter().copied()) {
            let one = *places.entry(address).or_insert(other);
            if one != other {
                return Err(WorldProblem::Twice { address, one, other });
            }
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        world: WorldArgs,
    }

    /// Where the roots are that `line` means, or why it means none.
    fn check(line: &str, expected: Result<&[&str], &str>) {
        let world = Line::try_parse_from(line.split(' '))
            .map_err(|error| error.to_string())
            .and_then(|line| line.world.world().map_err(|failure| failure.cause().expect("a cause").to_string()));
        match (world, expected) {
            (Ok(world), Ok(expected)) => {
                let roots = world.roots.iter().flat_map(|server| &server.addresses);
                let places: Vec<_> = roots.map(|root| world.place(*root).to_string()).collect();
                assert_eq!(places, expected, "{line}");
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{line}: {error}"),
            (world, _) => panic!("{line}: {world:?}"),
        }
    }

    #[test]
    fn roots_are_addresses_with_or_without_a_port() {
        check("x --root ::1", Ok(&["[::1]:53"]));
        check("x --root ::1,192.0.2.1 --root [2001:db8::1]:54", Ok(&["[::1]:53", "192.0.2.1:53", "[2001:db8::1]:54"]));
        check("x --root ::1 --port 5300", Ok(&["[::1]:5300"]));
        check("x --root 2001:db8::1 --at 2001:db8::1=[::1]:5300", Ok(&["[::1]:5300"]));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check("x --root a.root-servers.net", Err("with an address and no name"));
        check("x --root [::1]:70000", Err("with an address and no name"));
        check("x --at 2001:db8::1", Err("a place is ADDR=ADDR:PORT"));
        check("x --at 2001:db8::1=::1", Err("a place is ADDR=ADDR:PORT"));
        check("x -4 -6", Err("cannot be used with"));
    }

    #[test]
    fn an_address_is_at_one_place() {
        check("x --root [::1]:53,[::1]:54", Err("::1 is said to be at [::1]:53 and at [::1]:54"));
        check("x --at ::1=[::1]:53,::1=[::2]:53", Err("::1 is said to be at [::1]:53 and at [::2]:53"));
        check("x --root [::1]:53,[::1]:53", Ok(&["[::1]:53"]));
    }
}
