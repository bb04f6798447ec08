//! What it costs to load a large master file, beside Knot: `cargo bench --bench load`.
//!
//! A file of a million records as a registry has them (delegations with and
//! without glue, addresses, TXT, MX, SRV, CNAME, DS), not in order, is read and
//! made a zone by `kubezone zone lint` and by Knot's `kzonecheck`, in turn. What
//! counts is the time that the kernel charges to each, user and system, of the
//! best round: what else the machine does adds to both, and takes from neither.
//! The ratio is to be 1.5 at most.
//!
//! With a number, so many records; with a path behind it, another kubezone.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, io};

#[path = "support/proc.rs"]
mod proc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 5;

/// The zone `tld.` with `records` records or a few more, as a master file.
fn zone(records: usize) -> String {
    let mut text = "$ORIGIN tld.\n$TTL 3600\n\
                    @ SOA ns1.nic hostmaster.nic 2026112100 14400 3600 1209600 300\n\
                    @ NS ns1.nic\n@ NS ns2.nic\n\
                    ns1.nic A 192.0.2.1\nns1.nic AAAA 2001:db8::1\nns2.nic A 192.0.2.2\n"
        .to_owned();
    let mut count = 6;
    for n in 0.. {
        if count >= records {
            break;
        }
        let (high, low, hoster) = (n >> 8 & 0xff, n & 0xff, n % 97);
        let (added, done) = match n % 10 {
            5 => (
                3,
                write!(
                    text,
                    "d{n} 172800 IN NS ns1.hoster{hoster}.example.\nd{n} 172800 IN NS ns2.hoster{hoster}.example.\n\
                     d{n} 86400 IN DS {} 13 2 {n:064x}\n",
                    n & 0xffff
                ),
            ),
            6 => (2, write!(text, "h{n} IN A 203.0.{high}.{low}\nh{n} IN AAAA 2001:db8:1::{:x}:{low:x}\n", n >> 8)),
            7 => (
                2,
                write!(
                    text,
                    "h{n} IN TXT \"v=spf1 ip4:192.0.2.{low} -all\"\nh{n} IN MX 10 mail.hoster{hoster}.example.\n"
                ),
            ),
            8 => (1, writeln!(text, "www.h{n} IN CNAME h{}", n - 2)),
            9 => (2, write!(text, "_sip._tcp.h{n} IN SRV 0 100 5060 h{}\nh{n} IN A 203.1.{high}.{low}\n", n - 3)),
            _ => (
                5,
                write!(
                    text,
                    "d{n} 172800 IN NS ns1.d{n}\nd{n} 172800 IN NS ns2.d{n}\nns1.d{n} 172800 IN A 192.0.{high}.{low}\n\
                     ns1.d{n} 172800 IN AAAA 2001:db8:2::{:x}:{low:x}\nns2.d{n} 172800 IN A 198.51.{high}.{low}\n",
                    n >> 8
                ),
            ),
        };
        done.expect("a String takes everything");
        count += added;
    }
    text
}

/// The CPU time of all processes that were waited for so far.
fn of_children() -> Result<Duration> {
    let [.., user, kernel] = proc::times("self")?;
    Ok(user + kernel)
}

/// The CPU time that `command` takes.
fn cost(command: &mut Command) -> Result<Duration> {
    let before = of_children()?;
    let status: ExitStatus = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(of_children()? - before)
}

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let mut args = env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let records = args.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let binary = args.next().unwrap_or_else(|| env!("CARGO_BIN_EXE_kubezone").to_owned());
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), zone(records))?;

    let ours = |file: &Path| cost(Command::new(&binary).args(["zone", "lint", "--zone", "tld"]).arg(file));
    let theirs = |file: &Path| cost(Command::new("kzonecheck").args(["-o", "tld"]).arg(file));
    let with_knot = match Command::new("kzonecheck").arg("-V").stdout(Stdio::null()).status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        status => status?.success(),
    };
    let (mut our_best, mut their_best) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        our_best = our_best.min(ours(file.path())?);
        if with_knot {
            their_best = their_best.min(theirs(file.path())?);
        }
    }
    println!("{records} records: kubezone {:.2} s", our_best.as_secs_f64());
    if with_knot {
        let ratio = our_best.as_secs_f64() / their_best.as_secs_f64();
        println!("{records} records: Knot {:.2} s, kubezone : Knot {ratio:.2}", their_best.as_secs_f64());
    } else {
        println!("SKIPPED Knot: there is no kzonecheck in the path");
    }
    Ok(())
}
