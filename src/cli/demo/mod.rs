//! `kubezone demo`: a small world on loopback, from files built into the binary.
//!
//! Root, ooo, k8s.ooo and two clusters are five servers that know nothing of
//! each other; only their referrals hold them together. Every step is printed
//! as the `dig` command that shows the same.

mod walk;
mod world;

use std::fmt;
use std::io::{self, IsTerminal, Write};

use hickory_proto::rr::RecordType;

use super::serve::Signals;
use super::{Failure, runtime};
use walk::{Gist, Step, Walker};
use world::{Place, World, WorldError};

/// Shows it all on this machine: root, ooo, k8s.ooo and the clusters c2 and c3 as five servers on loopback
///
/// No cluster, no root and no configuration needed. It walks from the root to the Services' addresses, prints every step as
/// a `dig` command to try, has a Service come and go, and then serves until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: kubezone demo --port 5300 --admin-port 9300")]
pub(super) struct Demo {
    /// The first of five consecutive ports of [::1] [default: any that are free]
    #[arg(long)]
    port: Option<u16>,
    /// The first of five consecutive ports for /livez, /readyz and /metrics [default: none]
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,
    /// Ends after the walk instead of serving on
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) fn run(self) -> Result<(), Failure> {
        runtime()?.block_on(self.show())
    }

    async fn show(self) -> Result<(), Failure> {
        // Before there is anything to clean up.
        let mut signals = Signals::new()?;
        let world = World::start(self.port, self.admin_port).await?;
        let shown = tokio::select! {
            shown = self.tell(&world) => shown,
            _ = signals.next() => Ok(()),
        };
        world.stop().await;
        shown
    }

    async fn tell(&self, world: &World) -> Result<(), Failure> {
        let page = Page::new();
        walk_through(world, &page).await?;
        if self.once {
            return Ok(());
        }
        page.text(format_args!("\nThe same way, with all who are on it asked, and what is broken there:"))?;
        page.trace(world)?;
        page.text(format_args!("\nServing until Ctrl-C. Change the files in {} and see.", world.folder().display()))?;
        std::future::pending().await
    }
}

impl From<WorldError> for Failure {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Ports { .. } => Self::Usage(error.into()),
            _ => Self::unable(error),
        }
    }
}

impl From<walk::WalkError> for Failure {
    fn from(error: walk::WalkError) -> Self {
        Self::unable(error)
    }
}

async fn walk_through(world: &World, page: &Page) -> Result<(), Failure> {
    page.text(format_args!("Five DNS servers on this machine, each with one zone:\n"))?;
    for place in &world.places {
        page.place(place)?;
    }
    let root = world.places.first().expect("the root is one");
    let mut walker = Walker::new(root.dns, world.places.iter().map(|place| (place.address, place.dns)).collect());

    page.text(format_args!(
        "\nFrom the root to a Service of the cluster c2: every referral's glue is the next to ask."
    ))?;
    page.steps(&walker.walk("web.shop.svc.c2.k8s.ooo.", RecordType::AAAA).await?)?;
    page.text(format_args!("\nThe way to c2 is known now. The Service's port, by its name:"))?;
    page.steps(&walker.walk("_https._tcp.web.shop.svc.c2.k8s.ooo.", RecordType::SRV).await?)?;
    page.text(format_args!("\nA headless Service has the addresses of its ready endpoints:"))?;
    page.steps(&walker.walk("db.shop.svc.c2.k8s.ooo.", RecordType::AAAA).await?)?;
    page.steps(&walker.walk("db-0.db.shop.svc.c2.k8s.ooo.", RecordType::AAAA).await?)?;
    page.text(format_args!("\nAnother cluster is another delegation:"))?;
    page.steps(&walker.walk("matrix.chat.svc.c3.k8s.ooo.", RecordType::AAAA).await?)?;

    let qname = "guestbook.shop.svc.c2.k8s.ooo.";
    page.text(format_args!("\nA Service that does not exist:"))?;
    let steps = walker.walk(qname, RecordType::AAAA).await?;
    let c2 = steps.last().expect("a walk has steps").server;
    page.steps(&steps)?;

    world.apply_guestbook()?;
    let applied = walk::ask_until(c2, qname, RecordType::AAAA, |step| step.gist == Gist::Answer).await?;
    let soa = walk::ask_until(c2, "c2.k8s.ooo.", RecordType::SOA, |step| step.serial().is_some()).await?;
    let (folder, serial) = (world.folder().join("c2"), soa.serial().expect("awaited"));
    page.text(format_args!(
        "\nIts manifest is put into {}: it comes, and the zone's serial is {serial}:",
        folder.display()
    ))?;
    page.step(&applied)?;

    world.delete_guestbook()?;
    page.text(format_args!("\nThe manifest is taken away: it goes, and the serial moves on:"))?;
    page.step(&walk::ask_until(c2, qname, RecordType::AAAA, |step| step.gist == Gist::NxDomain).await?)?;
    Ok(())
}

/// Standard output: coloured on a terminal, plain when piped.
struct Page {
    bold: &'static str,
    faint: &'static str,
    normal: &'static str,
}

impl Page {
    fn new() -> Self {
        if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
            Self { bold: "\x1b[1m", faint: "\x1b[2m", normal: "\x1b[0m" }
        } else {
            Self { bold: "", faint: "", normal: "" }
        }
    }

    fn text(&self, text: fmt::Arguments<'_>) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    fn place(&self, place: &Place) -> io::Result<()> {
        let Self { faint, normal, .. } = self;
        let mut line = format!("  {:11} {}  {faint}in the world: {}{normal}", place.zone, place.dns, place.address);
        if let Some(metrics) = place.metrics {
            line += &format!("  http://{metrics}/metrics");
        }
        self.text(format_args!("{line}"))
    }

    /// The command that walks through `world`: what the glue names has its place on this machine.
    fn trace(&self, world: &World) -> io::Result<()> {
        let Self { bold, normal, .. } = self;
        let (root, below) = world.places.split_first().expect("the root is one");
        let places: Vec<_> = below.iter().map(|place| format!("{}={}", place.address, place.dns)).collect();
        let (root, places) = (root.dns, places.join(","));
        self.text(format_args!("{bold}kubezone trace web.shop.svc.c2.k8s.ooo -6 --root {root} --at {places}{normal}"))
    }

    fn steps(&self, steps: &[Step]) -> io::Result<()> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    /// A step as the command that shows it, and under it what the response comes down to.
    fn step(&self, step: &Step) -> io::Result<()> {
        let Self { bold, faint, normal } = self;
        let Step { server, qname, qtype, .. } = step;
        let (port, address) = (server.port(), server.ip());
        let mut out = io::stdout().lock();
        writeln!(out, "{bold}dig -p {port} @{address} +norecurse {qname} {qtype}{normal}")?;
        match &step.gist {
            Gist::Answer => writeln!(out, "  answer"),
            Gist::Referral(zone) => writeln!(out, "  referral to {zone}"),
            Gist::NoData => writeln!(out, "  NODATA"),
            Gist::NxDomain => writeln!(out, "  NXDOMAIN"),
        }?;
        step.records().into_iter().try_for_each(|record| writeln!(out, "    {faint}{record}{normal}"))
    }
}
