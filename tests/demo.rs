//! The demo, as people run it: every `dig` line it prints is run, and shows what the demo says.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RecordType};
use support::kubezone::KUBEZONE;
use support::skip;
use tempfile::TempDir;

/// One printed step.
#[derive(Debug, Default, PartialEq)]
struct Step {
    command: String,
    gist: String,
    records: Vec<String>,
}

/// Steps of what the demo printed: a command, its gist, and records, each further to the right.
fn steps(lines: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in lines {
        if line.starts_with("dig ") {
            steps.push(Step { command: line.clone(), ..Step::default() });
        } else if let (Some(record), Some(step)) = (line.strip_prefix("    "), steps.last_mut()) {
            step.records.push(record.to_owned());
        } else if let (Some(gist), Some(step)) = (line.strip_prefix("  "), steps.last_mut()) {
            step.gist = gist.to_owned();
        }
    }
    steps
}

/// A demo that is ended with us.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Where it writes its files.
    folder: TempDir,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(KUBEZONE.as_str());
        let folder = tempfile::tempdir().expect("a folder");
        command.arg("demo").args(arguments).env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary");
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, folder }
    }

    /// Its lines up to the one that begins with `last`, or to its end.
    fn lines_until(&mut self, last: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.starts_with(last)) {
            let mut line = String::new();
            if self.out.read_line(&mut line).expect("text") == 0 {
                let mut errors = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
                panic!("the demo ended after {lines:#?}\n{errors}");
            }
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    fn interrupt(&mut self) -> ExitStatus {
        let signalled = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(signalled.expect("kill").success());
        self.child.wait().expect("the demo ends")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answers to a printed command.
#[derive(Debug)]
struct Seen {
    status: String,
    authoritative: bool,
    records: Vec<String>,
}

impl Seen {
    /// Runs the command as it stands; without dig, asks the same.
    fn by(command: &str) -> Self {
        let mut words = command.split_whitespace();
        match Command::new(words.next().unwrap()).args(words).output() {
            Ok(output) => Self::in_output(&String::from_utf8(output.stdout).expect("text")),
            Err(error) => {
                skip("the demo's lines as printed", &format!("dig: {error}; a client of our own asks instead"));
                Self::by_asking(command)
            }
        }
    }

    fn in_output(output: &str) -> Self {
        let between = |from: &str, to: char| {
            let (_, rest) = output.split_once(from)?;
            Some(rest.split_once(to)?.0.to_owned())
        };
        let records = output.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
        Self {
            status: between("status: ", ',').unwrap_or_else(|| panic!("no status in {output}")),
            authoritative: between("flags: ", ';').is_some_and(|flags| flags.split(' ').any(|flag| flag == "aa")),
            records: records.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect(),
        }
    }

    fn by_asking(command: &str) -> Self {
        let words: Vec<_> = command.split_whitespace().collect();
        let ["dig", "-p", port, server, "+norecurse", qname, qtype] = words[..] else { panic!("{command}") };
        let server: IpAddr = server.trim_start_matches('@').parse().unwrap();
        let qtype: RecordType = qtype.parse().unwrap();
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(qname).unwrap(), qtype)).set_edns(Edns::new());
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send_to(&query.to_vec().unwrap(), SocketAddr::new(server, port.parse().unwrap())).unwrap();
        let mut buffer = [0; 1232];
        let length = socket.recv(&mut buffer).expect("a response");
        let response = Message::from_vec(&buffer[..length]).expect("readable");
        Self {
            status: format!("{:?}", response.metadata.response_code).to_uppercase(),
            authoritative: response.metadata.authoritative,
            records: response.all_sections().map(ToString::to_string).collect(),
        }
    }
}

fn check(step: &Step) {
    let seen = Seen::by(&step.command);
    let (status, authoritative) = match step.gist.as_str() {
        "answer" | "NODATA" => ("NOERROR", true),
        "NXDOMAIN" => ("NXDOMAIN", true),
        gist if gist.starts_with("referral to ") => ("NOERROR", false),
        _ => panic!("no gist: {step:?}"),
    };
    assert_eq!((seen.status.as_str(), seen.authoritative), (status, authoritative), "{step:#?} {seen:#?}");
    assert!(!step.records.is_empty(), "{step:#?}");
    for record in &step.records {
        assert!(seen.records.contains(record), "{record} of {step:#?} is not in {seen:#?}");
    }
}

#[test]
fn every_printed_command_shows_what_the_demo_says() {
    let mut demo = Demo::start(&[]);
    let lines = demo.lines_until("Serving until Ctrl-C.");
    let steps = steps(&lines);

    // What comes and goes is asked for several times: the last is what holds now.
    let last: BTreeMap<_, _> = steps.iter().map(|step| (&step.command, step)).collect();
    assert!(last.len() >= 9, "{steps:#?}");
    last.values().for_each(|step| check(step));

    let gists = |qname: &str| -> Vec<_> {
        let of = steps.iter().filter(|step| step.command.contains(&format!(" {qname} ")));
        of.map(|step| step.gist.as_str()).collect()
    };
    let root_to_c2 = ["referral to ooo.", "referral to k8s.ooo.", "referral to c2.k8s.ooo.", "answer"];
    assert_eq!(gists("web.shop.svc.c2.k8s.ooo."), root_to_c2);
    assert_eq!(gists("matrix.chat.svc.c3.k8s.ooo."), ["referral to c3.k8s.ooo.", "answer"]);
    assert_eq!(gists("guestbook.shop.svc.c2.k8s.ooo."), ["NXDOMAIN", "answer", "NXDOMAIN"]);

    let trace = lines.iter().find_map(|line| line.strip_prefix("kubezone trace ")).expect("a trace to try");
    let traced = Command::new(KUBEZONE.as_str()).arg("trace").args(trace.split(' ')).output().expect("the binary");
    let told = String::from_utf8(traced.stdout).expect("text");
    assert!(traced.status.success(), "{told}");
    for zone in ["ooo.", "k8s.ooo.", "c2.k8s.ooo."] {
        assert!(told.lines().any(|line| line.trim() == zone), "{zone}: {told}");
    }
    assert!(told.contains("\n✔ web.shop.svc.c2.k8s.ooo. AAAA is answered by the only server of c2.k8s.ooo."), "{told}");

    let folder = demo.folder.path().to_owned();
    let files = || fs::read_dir(&folder).unwrap().count();
    assert_eq!(files(), 1, "the folder that the servers read");
    assert!(demo.interrupt().success());
    assert_eq!(files(), 0, "it leaves nothing behind");
}

#[test]
fn once_ends_by_itself_and_is_plain_when_piped() {
    let output = Command::new(KUBEZONE.as_str()).args(["demo", "--once"]).output().expect("the binary");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(output.stdout.iter().all(|byte| *byte == b'\n' || !byte.is_ascii_control()));
    assert_eq!(errors, "");
}

#[test]
fn ports_that_do_not_exist_are_a_usage_error() {
    let output = Command::new(KUBEZONE.as_str()).args(["demo", "--port", "65533"]).output();
    let output = output.expect("the binary");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.ends_with("port 65533 is not followed by 4 more\n"), "{errors}");
}
