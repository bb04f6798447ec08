//! The binary as people call it: what it prints, how it ends, and how `serve` starts and stops.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, io};

use kubezone::config;
use support::eventually;
use support::kubezone::{KUBEZONE, Kubezone};
use support::process::Folder;

/// Calls kubezone in `folder`: its exit status, and what it says on both outputs.
fn kubezone(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(KUBEZONE.as_str()).args(args).current_dir(folder).output().expect("kubezone started");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), stdout, stderr)
}

/// Calls kubezone with a configuration file that says `text`: it refuses, with one line.
fn refuses(text: &str, line: &str) {
    let folder = Folder::new().expect("a temporary folder");
    folder.write("kubezone.yaml", text).expect("configuration written");
    let said = kubezone(&folder.join("."), &["serve", "--config", "kubezone.yaml"]);
    assert_eq!(said, (Some(2), String::new(), format!("{line}\n")));
}

#[test]
fn it_says_its_version() {
    let version = concat!("kubezone ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(kubezone(Path::new("."), &["--version"]), (Some(0), version.to_owned(), String::new()));
}

#[test]
fn it_completes_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (status, script, errors) = kubezone(Path::new("."), &["completions", shell]);
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{shell}");
        assert!(script.contains("KUBEZONE_COMPLETE"), "{shell}: {script}");
    }
}

/// What bash proposes for the last of `words`, and that nothing else comes onto the terminal.
fn proposed(words: &str) -> Vec<String> {
    const SCRIPT: &str = r#"
        source <("$0" completions bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _clap_complete_kubezone kubezone "${COMP_WORDS[COMP_CWORD]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let folder = Folder::new().expect("a temporary folder");
    std::os::unix::fs::symlink(fs::canonicalize(KUBEZONE.as_str()).expect("the binary"), folder.join("kubezone"))
        .expect("a link");
    let path = format!("{}:{}", folder.join("").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", SCRIPT, "kubezone"]).args(words.split(' ')).env("PATH", path);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("bash started");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words}");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    said.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn what_there_is_is_proposed() {
    let folder = Folder::new().expect("a temporary folder");
    let contexts = "contexts: [{ name: c2, context: { cluster: c2 } }, { name: c3, context: { cluster: c3 } }]\n";
    let kubeconfig = folder.write("kubeconfig", contexts).expect("written").display().to_string();
    for (words, expected) in [
        ("kubezone expl", &["explain"][..]),
        ("kubezone zone lint --zo", &["--zone"]),
        ("kubezone zone dump --config examples/k8s.ooo.yaml k8", &["k8s.ooo"]),
        ("kubezone audit --config=examples/c2.yaml --zone c2", &["c2.k8s.ooo"]),
        ("kubezone explain -f examples/migration.yaml -n shop svc/w", &["svc/web"]),
        ("kubezone explain -f examples/migration.yaml n", &["ns/shop"]),
        ("kubezone explain -f examples/migration.yaml -n sh", &["shop"]),
        ("kubezone explain --config examples/c2.yaml -n ku", &["kube-system"]),
        // There is nothing, and that is nobody's business who types.
        ("kubezone zone dump --config absent k8", &[]),
        ("kubezone zone dump --server http://[::1]:1 k8", &[]),
        ("kubezone explain -f absent svc/", &[]),
        ("kubezone explain --kubeconfig absent svc/", &[]),
        ("kubezone audit --kubeconfig absent --context c", &[]),
    ] {
        assert_eq!(proposed(words), expected, "{words}");
    }
    assert_eq!(proposed(&format!("kubezone status --kubeconfig {kubeconfig} --context c")), ["c2", "c3"]);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new().expect("a temporary folder");
    let pages = folder.join("man1");
    let said = kubezone(Path::new("."), &["man", "--output", &pages.display().to_string()]);
    assert_eq!(said, (Some(0), String::new(), String::new()));
    let names = fs::read_dir(&pages).expect("pages").map(|entry| entry.expect("a page").file_name());
    let names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    for name in ["kubezone.1", "kubezone-serve.1", "kubezone-zone.1", "kubezone-zone-dump.1", "kubezone-config-init.1"]
    {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    let dump = fs::read_to_string(pages.join("kubezone-zone-dump.1")).expect("a page");
    let examples = ".SH EXAMPLES\n.nf\nkubezone zone dump k8s.ooo \\-\\-config kubezone.yaml\nkubezone zone dump c2";
    assert!(dump.contains(examples) && dump.contains("\nkubezone\\-zone\\-dump \\- "), "{dump}");
    assert!(!dump.contains("EXTRA"), "{dump}");
    let root = kubezone(Path::new("."), &["man"]).1;
    assert_eq!(fs::read_to_string(pages.join("kubezone.1")).expect("a page"), root);

    for name in names {
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(pages.join(&name));
        let Ok(output) = man.env("MANROFFSEQ", "").env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").output() else {
            return support::skip("manual pages without warnings", &"there is no man in the path");
        };
        let (status, warnings) = (output.status, String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(status.success() && warnings.is_empty() && !output.stdout.is_empty(), "{name}: {warnings}");
    }
}

#[test]
fn nobody_is_told_of_a_reader_that_went_away() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(KUBEZONE.as_str());
    command.args(["completions", "bash"]).stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().and_then(Child::wait_with_output).expect("kubezone started");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn a_configuration_that_is_not_understood_is_refused() {
    refuses(
        "apiVersion: k8s.ooo/v1alpha1\nzones:\n- name: k8s.ooo\n  fil: k8s.ooo.zone\n",
        "kubezone.yaml:4:3: unknown key `fil`; the nearest known key is `file`",
    );
    refuses("listen: { dns: [] }\n", "kubezone.yaml:1:16: `listen.dns` is empty: there is nowhere to answer");
    refuses("zones: [\n", "kubezone.yaml:1:8: unclosed bracket '['");
    refuses(
        "identity: \"\"\nreadyTimeout: |\n  1\n  2\n",
        "kubezone.yaml:3:3: `1 2 ` is no duration such as `60s` or `5m`",
    );
}

#[test]
fn a_configuration_that_is_not_there_is_refused() {
    let folder = Folder::new().expect("a temporary folder");
    let said = kubezone(&folder.join("."), &["serve", "--config", "kubezone.yaml"]);
    let line = "could not read kubezone.yaml: No such file or directory (os error 2)\n";
    assert_eq!(said, (Some(2), String::new(), line.to_owned()));
}

#[test]
fn a_command_line_that_is_not_understood_is_refused() {
    for args in [
        &["serve"][..],
        &["serve", "--config", "a.yaml", "--zone", "z", "--nameserver", "ns"],
        &["serve", "--zone", "z"],
        &["serve", "--config", "a.yaml", "--listen-dns", "localhost"],
        &["completions", "none"],
        &[],
    ] {
        let (status, stdout, stderr) = kubezone(Path::new("."), args);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
    }
    let said = kubezone(Path::new("."), &["serve", "--zone", "z", "--nameserver", "ns.example.com"]);
    let line = "name server `ns.example.com.z.` is inside of the zone and has no addresses: give `addresses`, or the \
                name of a Service as `name.namespace.svc`; if `ns.example.com.` is meant, its final dot is missing\n";
    assert_eq!(said, (Some(2), String::new(), line.to_owned()));
}

#[test]
fn what_is_typed_goes_before_an_environment_that_contradicts_it() {
    let other = TcpListener::bind("[::1]:0").expect("a socket");
    let address = other.local_addr().expect("its address").to_string();
    // That it gets as far as to listen says that it understood.
    let line = format!("could not listen on {address}/tcp: Address already in use (os error 98)\n");
    let folder = Folder::new().expect("a temporary folder");
    folder.write("kubezone.yaml", "zones: [{ name: z, file: z }]\n").expect("configuration written");
    let in_environment = |set: &[(&str, &str)], args: &[&str]| {
        let mut command = Command::new(KUBEZONE.as_str());
        command.args(["serve", "--listen-dns", &address]).args(args).envs(set.iter().copied());
        let output = command.current_dir(folder.join(".")).output().expect("kubezone started");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let zone = ["--zone", "z", "--nameserver", "ns.example."];
    let manifests = [&zone[..], &["--manifests", "."]].concat();
    let context = [&zone[..], &["--context", "c2"]].concat();
    let in_variables = [("KUBEZONE_ZONE", "z"), ("KUBEZONE_NAMESERVERS", "ns."), ("KUBEZONE_MANIFESTS", ".")];
    for (set, args) in [
        (&[("KUBEZONE_CONFIG", "absent.yaml")][..], &zone[..]),
        (&in_variables, &["--config", "kubezone.yaml"]),
        (&[("KUBEZONE_KUBECONFIG", "absent"), ("KUBEZONE_CONTEXT", "c3")], &manifests),
        (&[("KUBEZONE_MANIFESTS", "absent")], &context),
    ] {
        assert_eq!(in_environment(set, args), (Some(3), line.clone()), "{set:?} {args:?}");
    }
    // Two variables that contradict each other, neither of which goes before the other.
    let both = [("KUBEZONE_CONFIG", "kubezone.yaml"), ("KUBEZONE_ZONE", "z"), ("KUBEZONE_NAMESERVERS", "ns.")];
    assert_eq!(in_environment(&both, &[]).0, Some(2));
}

#[test]
fn the_configuration_that_is_shown_is_the_one_in_force() {
    let folder = Folder::new().expect("a temporary folder");
    let text =
        "listen: { dns: [\"[::1]:1\"], metrics: \"[::1]:2\" }\nidentity: a\nzones: [{ name: z, file: z.zone }]\n";
    folder.write("kubezone.yaml", text).expect("configuration written");
    let show = |args: &[&str]| {
        let mut command = Command::new(KUBEZONE.as_str());
        command.args(["config", "show"]).args(args).current_dir(folder.join("."));
        command.envs([("KUBEZONE_CONFIG", "kubezone.yaml"), ("KUBEZONE_LISTEN_METRICS", "[::1]:3")]);
        let output = command.env("KUBEZONE_GRACE_PERIOD", "1h").output().expect("kubezone started");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
        let shown = String::from_utf8(output.stdout).expect("UTF-8");
        let config = config::parse(&shown, Path::new("/kubezone.yaml"));
        (config.unwrap_or_else(|error| panic!("{error}\n{shown}")), shown)
    };
    // The file, the environment, the flag, and what nobody has said.
    let (config, shown) = show(&["--grace-period", "7s"]);
    assert_eq!(config.dns, ["[::1]:1".parse().expect("an address")]);
    assert_eq!(config.metrics, Some("[::1]:3".parse().expect("an address")));
    assert_eq!((config.grace_period.as_secs(), config.ready_timeout.as_secs()), (7, 60));
    assert!(shown.starts_with("# listen.admin is not set: [::1]:9154 where that can be had\n"), "{shown}");
    let (config, _) = show(&["--zone", "y", "--nameserver", "ns.example.", "--listen-admin", ""]);
    assert_eq!((config.files.len(), config.clusters.len(), config.admin), (0, 1, config::Admin::Off));
}

#[test]
fn a_configuration_to_begin_with_takes_the_place_of_none() {
    let folder = Folder::new().expect("a temporary folder");
    let here = folder.join(".");
    fs::create_dir(folder.join("c2")).expect("a folder");
    folder.write("c2/web.yaml", SERVICE).expect("a manifest");
    let init = ["config", "init", "--manifests", "c2", "--zone", "c2.k8s.ooo", "--nameserver", "ns.example."];
    let to_file = [&init[..], &["--output", "kubezone.yaml"]].concat();
    assert_eq!(kubezone(&here, &to_file), (Some(0), String::new(), String::new()));
    let written = fs::read_to_string(folder.join("kubezone.yaml")).expect("written");
    assert_eq!(kubezone(&here, &init), (Some(0), written, String::new()));
    let listed = kubezone(&here, &["zone", "list", "--config", "kubezone.yaml"]);
    assert!(listed.0 == Some(0) && listed.1.contains("c2.k8s.ooo.  cluster"), "{listed:?}");

    folder.write("kubezone.yaml", "mine").expect("written");
    let line = "could not write kubezone.yaml: File exists (os error 17)\n";
    assert_eq!(kubezone(&here, &to_file), (Some(3), String::new(), line.to_owned()));
    assert_eq!(fs::read_to_string(folder.join("kubezone.yaml")).expect("still there"), "mine");
    for args in [&["--in-cluster", "--parent"][..], &["--zone", "z"], &["--in-cluster", "--nameserver", "ns"]] {
        assert_eq!(kubezone(&here, &[&["config", "init"], args].concat()).0, Some(2), "{args:?}");
    }
}

#[test]
fn an_address_that_is_taken_ends_the_start() {
    let other = TcpListener::bind("[::1]:0").expect("a socket");
    let address = other.local_addr().expect("its address").to_string();
    let (ours, free) = ("[::1]:0", address.as_str());
    let zone = ["serve", "--zone", "z", "--nameserver", "ns.example.", "--manifests", "."];
    for ([dns, metrics, admin], what) in
        [([free, ours, ours], "/tcp"), ([ours, free, ours], " for metrics"), ([ours, ours, free], " for admin")]
    {
        let line = format!("could not listen on {address}{what}: Address already in use (os error 98)\n");
        let listen = ["--listen-dns", dns, "--listen-metrics", metrics, "--listen-admin", admin];
        let args = [&zone[..], &listen].concat();
        assert_eq!(kubezone(Path::new("."), &args), (Some(3), String::new(), line));
    }
}

/// A zone file with these lines behind its SOA and NS records.
fn master(serial: u32, lines: &str) -> String {
    format!("$TTL 1h\n@ SOA ns.example. . {serial} 4h 1h 2w 5m\n  NS ns.example.\n{lines}\n")
}

#[test]
fn lint_tells_what_is_wrong_and_where() {
    let folder = Folder::new().expect("a temporary folder");
    let lint = |text: &str, args: &[&str]| {
        folder.write("a.zone", text).expect("a zone file");
        let (status, stdout, stderr) = kubezone(&folder.join("."), &[&["zone", "lint", "a.zone"], args].concat());
        (status, stdout, stderr)
    };
    let said = |status, stdout: &str| (Some(status), stdout.to_owned(), String::new());
    assert_eq!(lint(&master(1, ""), &["--zone", "a"]), said(0, ""));
    assert_eq!(
        lint(&master(1, "b A x\nc AAAA y"), &["--zone", "a"]),
        said(
            1,
            "a.zone:4:5: error: expected an IPv4 address, found `x`\n\
             a.zone:5:8: error: expected an IPv6 address, found `y`\n"
        )
    );
    let twice = master(1, "$INCLUDE part\nb A 192.0.2.1");
    folder.write("part", "b A 192.0.2.1\n c A 192.0.2.2\n").expect("a part");
    let (status, in_part, _) = lint(&twice, &["--zone", "a"]);
    assert!(status == Some(1) && in_part.starts_with("./part:2:2: error: unknown record type `c`: "), "{in_part}");
    folder.write("part", "c A 192.0.2.2\nb A 192.0.2.1\n").expect("a part");
    let warning = "a.zone:5:1: warning: b.a. A has a record more than once; remove it\n";
    assert_eq!(lint(&twice, &["--zone", "a"]), said(0, warning));
    assert_eq!(lint(&twice, &["--zone", "a", "--strict"]), said(1, warning));
    let (_, json, _) = lint(&twice, &["--zone", "a", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let expected = serde_json::json!([{
        "file": "a.zone", "line": 5, "column": 1, "severity": "warning",
        "message": "b.a. A has a record more than once", "hint": "remove it",
    }]);
    assert_eq!(json, expected);

    let nameless = "the zone's name cannot be told from a.zone: give it with --zone\n";
    assert_eq!(lint(&master(1, ""), &[]), (Some(2), String::new(), nameless.to_owned()));
    assert_eq!(lint(&format!("$ORIGIN a.\n{}", master(1, "b NS ns.b")), &[]).1.lines().count(), 1);
    let unnamed = "`` is no zone's name: write one such as c2.k8s.ooo\n";
    assert_eq!(lint(&master(1, ""), &["--zone", ""]), (Some(2), String::new(), unnamed.to_owned()));
    // No file moves a terminal's cursor.
    let coloured = "a.zone:4:5: error: expected an IPv4 address, found ` [31mred`\n";
    assert_eq!(lint(&master(1, "b A \x1b[31mred"), &["--zone", "a"]), said(1, coloured));
    for (errors, told, more) in [(99, 99, false), (200, 100, true)] {
        let (status, stdout, stderr) = lint(&master(1, &"b A x\n".repeat(errors)), &["--zone", "a"]);
        assert_eq!((status, stdout.lines().count()), (Some(1), told));
        assert_eq!(stderr.contains("the first 100 errors: there may be more"), more, "{stderr}");
    }
    let absent = "b.zone: could not be read: No such file or directory (os error 2)\n";
    let said = kubezone(&folder.join("."), &["zone", "lint", "b.zone"]);
    assert_eq!(said, (Some(3), String::new(), absent.to_owned()));
}

#[test]
fn lint_reads_standard_input() {
    let mut command = Command::new(KUBEZONE.as_str());
    command.args(["zone", "lint", "-", "--zone", "a"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("kubezone started");
    child.stdin.take().expect("its input").write_all(master(1, "b A").as_bytes()).expect("a zone written");
    let output = child.wait_with_output().expect("kubezone ended");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(said, "-:4:4: error: the entry ends where an IPv4 address is expected\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn diff_tells_what_changes_and_whether_the_serial_rises() {
    let folder = Folder::new().expect("a temporary folder");
    let diff = |old: &str, new: &str, args: &[&str]| {
        folder.write("old", old).expect("a zone file");
        folder.write("new", new).expect("a zone file");
        let log = ["--log", "warn", "zone", "diff", "old", "new", "--zone", "a"];
        kubezone(&folder.join("."), &[&log, args].concat())
    };
    let (one, other) = (master(1, "b A 192.0.2.1\nc A 192.0.2.1"), master(1, "c 3600 A 192.0.2.1 ; c\nB A 192.0.2.1"));
    assert_eq!(diff(&one, &other, &[]), (Some(0), String::new(), String::new()));

    let other = master(2, "b 60 A 192.0.2.1\nc A 192.0.2.1");
    let changes = "; serial 1 to 2
-a. 3600 IN SOA ns.example. . 1 14400 3600 1209600 300
+a. 3600 IN SOA ns.example. . 2 14400 3600 1209600 300
-b.a. 3600 IN A 192.0.2.1
+b.a. 60 IN A 192.0.2.1
";
    assert_eq!(diff(&one, &other, &[]), (Some(1), changes.to_owned(), String::new()));

    let (status, json, warning) = diff(&one, &master(1, "b A 192.0.2.1"), &["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let removed = serde_json::json!(
        [{ "change": "removed", "owner": "c.a.", "ttl": 3600, "type": "A", "rdata": "192.0.2.1" }]
    );
    assert_eq!((status, json), (Some(1), removed));
    assert!(warning.contains("its serial does not rise"), "{warning}");
    // RFC 1982: it goes around.
    assert_eq!(diff(&master(u32::MAX, ""), &master(0, ""), &[]).2, "");
    assert_eq!(diff("@ A x", &one, &[]).0, Some(2));

    folder.write("b", &format!("$ORIGIN b.\n{one}")).expect("a zone file");
    folder.write("c", &format!("$ORIGIN c.\n{one}")).expect("a zone file");
    for (files, line) in [
        (["b", "c"], "b. and c. are different zones: only versions of one zone are compared\n"),
        (["-", "-"], "standard input can be one of the two files, not both\n"),
    ] {
        let said = kubezone(&folder.join("."), &[&["zone", "diff"], &files[..]].concat());
        assert_eq!(said, (Some(2), String::new(), line.to_owned()));
    }
}

/// What a check before there is a server says of a configuration in `folder`: its exit status, and all that is not well as
/// `level code subject: message`.
fn checked(folder: &Path, config: &str) -> (Option<i32>, Vec<String>) {
    fs::write(folder.join("kubezone.yaml"), config).expect("written");
    let (status, said, errors) = kubezone(folder, &["check", "--pre", "--config", "kubezone.yaml", "-o", "json"]);
    assert_eq!(errors, "");
    let text = |check: &serde_json::Value, field: &str| check[field].as_str().expect("text").to_owned();
    let not_well = json(&said)
        .as_array()
        .expect("a list")
        .iter()
        .filter(|it| it["level"] != "good")
        .map(|it| {
            assert!(!text(it, "hint").is_empty(), "{it}");
            format!("{} {} {}: {}", text(it, "level"), text(it, "code"), text(it, "subject"), text(it, "message"))
        })
        .collect();
    (status, not_well)
}

#[test]
fn a_check_says_before_the_start_what_would_keep_it_from_serving() {
    let folder = Folder::new().expect("a temporary folder");
    let folder = folder.join(".");
    let here = std::env::current_dir().expect("a folder");
    // Whatever this machine grants is no finding of this test.
    let host = ["odd receive-buffer", "odd open-files"];
    let check = |config: &str, status: i32, expected: &[&str]| {
        let (found, mut lines) = checked(&folder, config);
        lines.retain(|line| !host.iter().any(|code| line.starts_with(code)));
        assert_eq!((found, lines.iter().map(String::as_str).collect::<Vec<_>>()), (Some(status), expected.to_vec()));
    };
    let zones = format!("zones: [{{ name: k8s.ooo, file: {}/zones/k8s.ooo.zone }}]", here.display());
    let config = |dns: &str| format!("listen: {{ dns: [{dns}], metrics: '[::1]:0', admin: '' }}\n{zones}\n");
    check(&config("'[::1]:0', '127.0.0.1:0'"), 0, &[]);

    // Held over one of the two transports, and by whom.
    // Below those ports that the system gives to whoever asks for any: nobody has it when we have let it go.
    let first = 10_000 + u16::try_from(std::process::id() % 10_000).expect("less");
    let held = (first..first + 1000).find_map(|port| std::net::UdpSocket::bind(("::1", port)).ok()).expect("a port");
    let udp = held.local_addr().expect("bound").to_string();
    let in_use = format!("bad listen-dns {udp}: could not listen on {udp}/udp: Address already in use (os error 98)");
    check(&config(&format!("'{udp}'")), 1, &[&in_use]);
    let (_, said, _) = kubezone(&folder, &["check", "--pre", "--config", "kubezone.yaml"]);
    let own = fs::read_to_string("/proc/self/comm").expect("a name");
    let hint = format!("    Stop what has the port ({} at {udp}), or choose another address.\n", own.trim_end());
    assert!(said.contains(&format!("✘ listen-dns {udp}: ")) && said.contains(&hint), "{said}");
    drop(held);
    check(&config(&format!("'{udp}'")), 0, &[]);
    let all = udp.replace("::1", "::");
    check(
        &config(&format!("'{udp}', '{all}'")),
        1,
        &[&format!("bad listen-dns {all}: could not listen on {all}/tcp: Address already in use (os error 98)")],
    );
    let absent = "bad listen-dns 192.0.2.53:0: could not listen on 192.0.2.53:0/tcp: Cannot assign requested address (os error 99)";
    check(&config("'192.0.2.53:0'"), 1, &[absent]);

    // Files.
    fs::write(folder.join("odd.zone"), master(1, "a 60 A 192.0.2.1\na 60 A 192.0.2.1\n")).expect("written");
    fs::write(folder.join("bad.zone"), master(1, "a 60 A nowhere\n")).expect("written");
    fs::create_dir(folder.join("c2")).expect("a folder");
    let files = "listen: { dns: ['[::1]:0'], metrics: '[::1]:0', admin: '' }\n\
        clusters: [{ name: c2, manifests: c2 }, { name: c3, manifests: c3 }, { name: c4, kubeconfig: c4 }]\n\
        zones: [{ name: a, file: odd.zone }, { name: b, file: bad.zone }, { name: c, file: absent.zone },\n\
        { name: d, cluster: c2, nameservers: [{ name: ns.x. }] }, { name: e, cluster: c3, nameservers: [{ name: ns.x. }] },\n\
        { name: f, cluster: c4, nameservers: [{ name: ns.x. }] }]\n";
    let (status, lines) = checked(&folder, files);
    assert_eq!(status, Some(1));
    for expected in [
        "odd zone-file a.: odd.zone: 1 warning, the first: line 5, column 1: a.a. A has",
        "bad zone-file b.: bad.zone: line 4, column 8: expected an IPv4 address, found `nowhere`",
        "bad zone-file c.: absent.zone: could not be read: No such file or directory (os error 2)",
        "bad manifests c3: c3: 1 error, the first: c3: ",
        "bad api-reachable c4: c4: the kubeconfig cannot be used: ",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:#?}");
    }

    // What cannot be understood is said, and nothing else is looked at.
    let (status, lines) = checked(&folder, "zone: []");
    let unknown =
        "bad configuration kubezone.yaml: kubezone.yaml:1:1: unknown key `zone`; the nearest known key is `zones`";
    assert_eq!((status, lines), (Some(2), vec![unknown.to_owned()]));
    let (status, _, errors) = kubezone(&folder, &["check", "--pre"]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("--config <FILE>|--zone <NAME>"), "{errors}");
}

#[test]
fn list_tells_what_is_known_without_a_server() {
    let folder = Folder::new().expect("a temporary folder");
    folder.write("a.zone", &master(7, "b A 192.0.2.1")).expect("a zone file");
    folder.write("web.yaml", SERVICE).expect("a manifest");
    let config = "zones:
- { name: a, file: a.zone }
- { name: c2.k8s.ooo, cluster: c2, nameservers: [{ name: ns.example. }] }
- { name: c3.k8s.ooo, cluster: c3, nameservers: [{ name: ns.example. }] }
- { name: 2.ip6.arpa, reverseOf: [c2.k8s.ooo], nameservers: [{ name: ns.example. }] }
- { name: 3.ip6.arpa, reverseOf: [c2.k8s.ooo, c3.k8s.ooo], nameservers: [{ name: ns.example. }] }
clusters:
- { name: c2, manifests: web.yaml }
- { name: c3, context: three }
";
    folder.write("kubezone.yaml", config).expect("a configuration");
    let list = || kubezone(&folder.join("."), &["zone", "list", "--config", "kubezone.yaml"]);
    let table = "ZONE         KIND     SERIAL  RECORDS  SOURCE
a.           file          7        3  a.zone
c2.k8s.ooo.  cluster       -        4  c2: web.yaml
c3.k8s.ooo.  cluster       -        -  c3: kubectl's configuration, context three
2.ip6.arpa.  reverse       -        3  c2.k8s.ooo.
3.ip6.arpa.  reverse       -        -  c2.k8s.ooo., c3.k8s.ooo.
";
    assert_eq!(list(), (Some(0), table.to_owned(), String::new()));

    folder.write("a.zone", "@ SOA").expect("no zone");
    let (status, _, stderr) = list();
    assert_eq!(status, Some(1));
    assert!(stderr.contains("a.zone: line 1, column 6: the entry ends where a domain name is expected"), "{stderr}");
}

/// Calls kubezone about the Services of examples/migration.yaml.
fn of_migration(args: &[&str]) -> (Option<i32>, String, String) {
    let source = ["-f", "examples/migration.yaml", "--zone", "c2.k8s.ooo"];
    kubezone(Path::new(env!("CARGO_MANIFEST_DIR")), &[args, &source].concat())
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn explain_takes_whatever_one_may_have_at_hand() {
    let web = of_migration(&["explain", "svc/web", "-n", "shop"]);
    assert_eq!(web.0, Some(0), "{web:?}");
    for what in [
        &["service/web", "-n", "shop"][..],
        &["services/web", "-n", "shop"],
        &["web.shop.svc.c2.k8s.ooo."],
        &["web.shop.svc.c2.k8s.ooo"],
        &["WEB.Shop.svc"],
    ] {
        assert_eq!(of_migration(&[&["explain"], what].concat()), web, "{what:?}");
    }
    let says = |what: &[&str], status, part: &str| {
        let (ended, said, errors) = of_migration(&[&["explain"], what].concat());
        assert!(ended == Some(status) && said.contains(part) && errors.is_empty(), "{what:?}: {said}{errors}");
    };
    says(&["2a0a:e5c0:10:3::17"], 0, "it is web.shop.svc.c2.k8s.ooo.");
    says(&["2a0a:e5c0:10:3::21"], 1, "shop/admin has it and does not publish it\nKZ0104 OptedOut: ");
    says(&["2001:db8::1"], 1, "No Service has it, and no endpoint of one");
    says(&["ns/shop"], 0, "3 of 6 Services published");
    says(&["_https._tcp.web.shop.svc"], 0, "0 100 443 web.shop.svc.c2.k8s.ooo.");
    says(&["shop.svc"], 1, "it owns no records: there are only names below it");
    says(&["_x._tcp.admin.shop.svc"], 1, "kubectl -n shop annotate --overwrite service admin k8s.ooo/publish=true");
    says(&["wbe.shop.svc"], 1, "The nearest name that does is web.shop.svc.c2.k8s.ooo.");
    says(&["svc/wbe", "-n", "shop"], 1, "The nearest is shop/web");
    says(&["svc/web"], 1, "The nearest is shop/web");

    let refused = |what: &str, line: &str| {
        let (status, said, errors) = of_migration(&["explain", what]);
        assert!(status == Some(2) && said.is_empty() && errors.contains(line), "{what}: {errors}");
    };
    refused("web.shop.svc.c3.k8s.ooo.", "web.shop.svc.c3.k8s.ooo. is in none of the zones: c2.k8s.ooo.\n");
    refused("pod/web", "`pod` is no kind that can be explained");
    refused("svc/", "`svc/` is neither");
    assert_eq!(of_migration(&["explain", "ns/none"]).0, Some(1));
}

#[test]
fn explain_and_audit_have_fields_for_programs() {
    let (_, text, _) = of_migration(&["explain", "svc/admin", "-n", "shop", "-o", "json"]);
    let admin = &json(&text)[0];
    assert_eq!(
        (&admin["namespace"], &admin["name"], &admin["published"]),
        (&"shop".into(), &"admin".into(), &false.into())
    );
    assert_eq!(admin["records"], serde_json::json!([]));
    assert_eq!((&admin["reasons"][0]["code"], &admin["reasons"][0]["name"]), (&"KZ0104".into(), &"OptedOut".into()));
    let (_, text, _) = of_migration(&["explain", "web.shop.svc", "-o", "json"]);
    let record = serde_json::json!(
        { "owner": "web.shop.svc.c2.k8s.ooo.", "ttl": 30, "type": "AAAA", "rdata": "2a0a:e5c0:10:3::17" }
    );
    assert_eq!(json(&text)[0]["records"], serde_json::json!([record]));

    let (_, text, _) = of_migration(&["audit", "-o", "json"]);
    let audited = json(&text);
    let verdicts: Vec<_> = audited.as_array().expect("a list").iter().map(|it| (&it["name"], &it["verdict"])).collect();
    let expected = [
        ("admin", "blocked"),
        ("cart", "change"),
        ("legacy", "blocked"),
        ("mail", "ready"),
        ("search", "blocked"),
        ("web", "ready"),
    ];
    let expected = expected.map(|(name, verdict)| (name.into(), verdict.into()));
    assert_eq!(verdicts, expected.iter().map(|(name, verdict)| (name, verdict)).collect::<Vec<_>>());
    let web = &audited[5];
    assert_eq!((&web["families"], &web["published"]), (&serde_json::json!(["IPv6", "IPv4"]), &true.into()));
    assert_eq!(web["reasons"], serde_json::json!([]));

    let (_, csv, _) = of_migration(&["audit", "-n", "shop", "-o", "csv"]);
    assert_eq!(csv.matches("\r\n").count(), 7, "{csv}");
    assert!(
        csv.contains("\r\nc2.k8s.ooo.,shop,web,ClusterIP,IPv6 IPv4,IPv6,2,0,0,0,true,2a0a:e5c0:10:3::17,ready,,,\r\n"),
        "{csv}"
    );
}

#[test]
fn an_audit_fails_only_where_it_is_asked_to() {
    for (args, status) in [
        (&[][..], 0),
        (&["--fail-on", "blocked"], 1),
        (&["--fail-on", "change"], 1),
        (&["--fail-on", "change", "-n", "none"], 0),
        (&["-A", "--target", "ipv6-only"], 0),
        (&["-A", "-n", "shop"], 2),
        (&["--target", "ipv4-only"], 2),
    ] {
        assert_eq!(of_migration(&[&["audit"], args].concat()).0, Some(status), "{args:?}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of = |config: &str, args: &[&str]| kubezone(folder, &[&["audit", "--config", config], args].concat()).0;
    assert_eq!(of("examples/c2.yaml", &[]), Some(0));
    assert_eq!(of("examples/c2.yaml", &["--zone", "c3.k8s.ooo"]), Some(2));
    assert_eq!(of("examples/absent.yaml", &[]), Some(2));
    assert_eq!(kubezone(folder, &["audit"]).0, Some(2));
    assert_eq!(kubezone(folder, &["audit", "--zone", "z", "-f", "absent"]).0, Some(3));
    assert_eq!(kubezone(folder, &["audit", "--zone", "z", "--kubeconfig", "absent"]).0, Some(3));
}

/// A machine of its own: a network with nothing but loopback, and kubezone as what /etc/resolv.conf leads to.
#[test]
fn an_audit_looks_up_what_aliases_lead_to() {
    const TEST: &str = "an_audit_looks_up_what_aliases_lead_to";
    const SCRIPT: &str = r#"
        ip link set lo up && mount --bind resolv.conf /etc/resolv.conf || exit 99
        "$0" serve --config kubezone.yaml 2>log &
        for try in $(seq 400); do
            "$0" audit -f aliases.yaml --zone c2.k8s.ooo --resolve -o csv >audit.csv
            if grep -q ,ready, audit.csv && grep -q KZ0206 audit.csv; then break; fi
            sleep 0.05
        done
        cat audit.csv
    "#;
    let unshare = ["--net", "--mount", "--pid", "--fork", "--kill-child"];
    let permitted = Command::new("unshare").args(unshare).arg("true").output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        return support::skip(TEST, &"namespaces are not permitted here: run it as root");
    }
    let folder = Folder::new().expect("a temporary folder");
    let alias = |name: &str| {
        let spec = format!("spec: {{ type: ExternalName, externalName: {name}.example.net }}");
        format!("---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: shop }}\n{spec}\n")
    };
    let config =
        "listen: { dns: [\"[::1]:53\"], metrics: \"[::1]:0\" }\nzones: [{ name: example.net, file: a.zone }]\n";
    for (name, text) in [
        ("a.zone", master(1, "both AAAA 2001:db8::1\n A 192.0.2.1\nold A 192.0.2.1")),
        ("kubezone.yaml", config.to_owned()),
        ("resolv.conf", "nameserver ::1\n".to_owned()),
        ("aliases.yaml", ["both", "old", "none"].map(alias).concat()),
    ] {
        folder.write(name, &text).expect("a file");
    }
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", SCRIPT, KUBEZONE.as_str()]).current_dir(folder.join("."));
    let output = command.output().expect("unshare started");
    let csv = String::from_utf8(output.stdout).expect("UTF-8");
    for (name, verdict) in [("both", "ready,,,"), ("old", "blocked,KZ0206,"), ("none", "blocked,KZ0207,")] {
        let row = format!("c2.k8s.ooo.,shop,{name},ExternalName,,,0,0,0,0,true,,{verdict}");
        assert!(csv.contains(&row), "{row}: {csv}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn colours_are_for_those_who_want_them() {
    let is_colored = |args: &[&str]| of_migration(&[&["audit"], args].concat()).1.contains('\x1b');
    assert!(!is_colored(&[]) && !is_colored(&["--color", "never"]) && is_colored(&["--color", "always"]));
    for (environment, colored) in [("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        let audit = "audit -f examples/migration.yaml --zone c2.k8s.ooo";
        let line = format!("env {environment} {} {audit}", KUBEZONE.as_str());
        let mut script = Command::new("script");
        let output = script.args(["-qec", &line, "/dev/null"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let Ok(output) = output else { return support::skip("colours", &"there is no script in the path") };
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(said.contains("\x1b[31mblocked"), colored, "{environment}: {said}");
    }
}

/// Whoever checks a folder wants to mend all of it at once.
#[test]
fn all_that_is_wrong_with_manifests_is_told_line_by_line() {
    let folder = Folder::new().expect("a temporary folder");
    folder.write("web.yaml", SERVICE).expect("a manifest");
    folder.write("db.yaml", &SERVICE.replace("web", "Web")).expect("a bad manifest");
    folder.write("no.yaml", "{").expect("no manifest");
    let (status, stdout, stderr) = kubezone(&folder.join("."), &["zone", "records", "-f", ".", "--zone", "c2.k8s.ooo"]);
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    let places: Vec<_> = stderr.lines().filter_map(|line| line.split_once(": ")).map(|(place, _)| place).collect();
    assert_eq!(places, ["./db.yaml:3:19", "./no.yaml:1:1"], "{stderr}");
}

/// A file large enough to wait for is followed on a terminal, and nowhere else.
#[test]
fn progress_is_shown_on_a_terminal_only() {
    let folder = Folder::new().expect("a temporary folder");
    let records: String = (0..60_000).map(|i| format!("host-{i} TXT \"{i:060}\"\n")).collect();
    folder.write("large.zone", &master(1, &records)).expect("a zone file");
    let lint = ["zone", "lint", "large.zone", "--zone", "a"];
    assert_eq!(kubezone(&folder.join("."), &lint), (Some(0), String::new(), String::new()));

    let on_terminal = format!("{} {}", KUBEZONE.as_str(), lint.join(" "));
    let mut script = Command::new("script");
    let output = script.args(["-qec", &on_terminal, "/dev/null"]).current_dir(folder.join(".")).output();
    let Ok(output) = output else { return support::skip("progress", &"there is no script in the path") };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.starts_with("\rlarge.zone: "), "{shown:?}");
    assert!(shown.ends_with("\r\u{1b}[K"), "{shown:?}");
}

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: \"2a0a:e5c0:10:3::17\", ports: [{ port: 80 }] }
";

/// kubezone with c2.k8s.ooo from manifests, and what `args` add to that.
async fn c2(args: &[&str]) -> Kubezone {
    let folder = Folder::new().expect("a temporary folder");
    c2_from(folder, &[], args).await
}

/// The same with the manifests in `folder`, started by `starter`.
async fn c2_from(folder: Folder, starter: &[&str], args: &[&str]) -> Kubezone {
    fs::create_dir(folder.join("c2")).expect("a folder");
    let manifest = folder.write("c2/web.yaml", SERVICE).expect("a manifest");
    let manifests = format!("KUBEZONE_MANIFESTS={}", manifest.parent().expect("c2").display());
    // Of what is set twice, the flag goes before the environment.
    let environment =
        ["env", &manifests, "KUBEZONE_ZONE=c2.k8s.ooo", "KUBEZONE_NAMESERVERS=ns=2001:db8::53 ns.example."];
    let overridden = ["KUBEZONE_LISTEN_DNS=192.0.2.1:1", KUBEZONE.as_str(), "serve"];
    let flags = ["--listen-dns", "[::1]:0", "--listen-metrics", "[::1]:0"];
    let command = [starter, &environment, &overridden, &flags, args].concat();
    Kubezone::start("c2.k8s.ooo", &command, folder).await
}

#[tokio::test]
async fn the_simplest_case_needs_no_configuration() {
    let kubezone = c2(&[]).await.ready().await;
    kubezone.answers("web.shop.svc AAAA", "2a0a:e5c0:10:3::17").await;
    kubezone.answers("@ NS", "ns.c2.k8s.ooo., ns.example.").await;
    kubezone.answers("ns AAAA", "2001:db8::53").await;
    let metrics = kubezone.http("/metrics").await;
    assert!(metrics.contains("\r\ncontent-type: text/plain; version=0.0.4"), "{metrics}");
    assert!(kubezone.http("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(kubezone.http("/").await.starts_with("HTTP/1.1 404"));
    for (name, labels) in [
        ("kubezone_dns_requests_total", r#"zone="c2.k8s.ooo.",proto="tcp",family="ipv6",type="AAAA""#),
        ("kubezone_dns_responses_total", r#"zone="c2.k8s.ooo.",rcode="NOERROR""#),
        ("kubezone_dns_request_duration_seconds_count", ""),
        ("kubezone_zone_serial", r#"zone="c2.k8s.ooo.""#),
        ("kubezone_zone_records", r#"zone="c2.k8s.ooo.",type="AAAA""#),
        ("kubezone_zone_bytes", r#"zone="c2.k8s.ooo.""#),
        ("kubezone_services", r#"cluster="default",published="true",reason="""#),
        ("kubezone_cluster_objects", r#"cluster="default",kind="Service""#),
        ("kubezone_cluster_synced", r#"cluster="default""#),
        ("kubezone_publish_duration_seconds_count", ""),
        ("kubezone_dns_programming_duration_seconds_count", r#"cluster="default""#),
        ("kubezone_build_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")),
    ] {
        assert!(kubezone.metric(name, labels).await > 0.0, "{name} {labels}: {metrics}");
    }
}

#[tokio::test]
async fn reasons_are_counted_as_long_as_they_hold() {
    let folder = Folder::new().expect("a temporary folder");
    let odd = folder.join("c2/odd.yaml");
    let kubezone = c2_from(folder, &[], &[]).await.ready().await;
    let is_counted = async |count: f64| {
        eventually(&format!("{count} Services with a bad annotation"), async || {
            let counted =
                kubezone.metric("kubezone_service_reasons", r#"cluster="default",reason="BadAnnotation""#).await;
            if (counted - count).abs() < 0.5 { Ok(()) } else { Err(counted.to_string()) }
        })
        .await;
    };
    is_counted(0.0).await;
    // It is published all the same, so that `kubezone_services` does not tell.
    let annotated = "metadata: { name: odd, namespace: shop, annotations: { k8s.ooo/ttl: soon } }";
    fs::write(&odd, SERVICE.replace("metadata: { name: web, namespace: shop }", annotated)).expect("a manifest");
    is_counted(1.0).await;
    kubezone.answers("odd.shop.svc AAAA", "2a0a:e5c0:10:3::17").await;
    fs::remove_file(&odd).expect("removed");
    is_counted(0.0).await;
}

#[tokio::test]
async fn a_log_that_nobody_takes_stops_nothing() {
    let folder = Folder::new().expect("a temporary folder");
    let manifest = folder.join("c2/web.yaml");
    // Its reader goes away after the line that says where the last of its sockets is.
    let reader = ["bash", "-c", "exec \"$@\" 2> >(exec sed -u /metrics/q)", "bash"];
    let mut kubezone = c2_from(folder, &reader, &["--log", "debug", "--grace-period", "0s"]).await.ready().await;
    for address in ["2a0a:e5c0:10:3::18", "2a0a:e5c0:10:3::19"] {
        fs::write(&manifest, SERVICE.replace("2a0a:e5c0:10:3::17", address)).expect("a manifest");
        kubezone.answers("web.shop.svc AAAA", address).await;
    }
    kubezone.terminate();
    assert_eq!(kubezone.ended().await, Some(0));
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    let mut kubezone = c2(&["--grace-period", "0s"]).await;
    kubezone.terminate();
    assert_eq!(kubezone.ended().await, Some(0));
}

#[tokio::test]
async fn a_request_to_reload_does_not_end_it() {
    let kubezone = c2(&[]).await.ready().await;
    kubezone.hang_up().await;
    kubezone.answers("web.shop.svc AAAA", "2a0a:e5c0:10:3::17").await;
}

#[tokio::test]
async fn answers_go_on_for_the_grace_period() {
    let mut kubezone = c2(&["--grace-period", "1h"]).await.ready().await;
    kubezone.terminate();
    eventually("it is not ready any more", async || match kubezone.http("/readyz").await {
        answer if answer.starts_with("HTTP/1.1 503") && answer.ends_with("stopping\n") => Ok(()),
        answer => Err(answer),
    })
    .await;
    kubezone.answers("web.shop.svc AAAA", "2a0a:e5c0:10:3::17").await;
    kubezone.terminate();
    assert_eq!(kubezone.ended().await, Some(0), "a second signal ends it at once");
}

/// The unit as it is shipped, with the binary that is tested in the place of the installed one.
fn unit() -> (Folder, PathBuf, String) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/kubezone.service");
    let shipped = fs::read_to_string(shipped).expect("the unit");
    let binary = fs::canonicalize(KUBEZONE.as_str()).expect("the binary").display().to_string();
    let folder = Folder::new().expect("a temporary folder");
    let path = folder.write("kubezone.service", &shipped.replace("/usr/local/bin/kubezone", &binary)).expect("written");
    (folder, path, shipped)
}

#[test]
fn the_systemd_unit_is_as_it_should_be() {
    let (_folder, path, _) = unit();
    for args in [&["verify", "--man=no"][..], &["security", "--offline=true", "--threshold=20"]] {
        let output = Command::new("systemd-analyze").args(args).arg(&path).env("SYSTEMD_PAGER", "").output();
        let Ok(output) = output else { return support::skip("the systemd unit", &"there is no systemd-analyze") };
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{args:?}: {said}");
    }
}

/// The system calls that the unit's filter lets through.
fn let_through(unit: &str) -> Option<BTreeSet<String>> {
    let output = Command::new("systemd-analyze").arg("syscall-filter").output().ok()?;
    let known = String::from_utf8(output.stdout).expect("UTF-8");
    let mut sets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut set = "";
    for line in known.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(call) => sets.entry(set).or_default().push(call.trim()),
            None => set = line.trim(),
        }
    }
    let mut allowed = BTreeSet::new();
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (is_taken_out, names) = line.strip_prefix('~').map_or((false, line), |names| (true, names));
        // What is there at any rate is never taken out.
        let mut names: Vec<&str> = names.split(' ').chain((!is_taken_out).then_some("@default")).collect();
        while let Some(name) = names.pop() {
            match sets.get(name) {
                Some(members) => names.extend(members),
                None if is_taken_out => drop(allowed.remove(name)),
                None => drop(allowed.insert(name.to_owned())),
            }
        }
    }
    Some(allowed)
}

/// A server that loads, answers, reloads and ends, and what it asks of the kernel.
#[tokio::test]
async fn the_systemd_unit_lets_it_do_what_it_does() {
    const TEST: &str = "the systemd unit lets it do what it does";
    let (_folder, _, unit) = unit();
    let Some(allowed) = let_through(&unit) else { return support::skip(TEST, &"there is no systemd-analyze") };
    assert!(allowed.contains("sendmmsg") && !allowed.contains("mount") && !allowed.contains("setuid"), "{allowed:?}");
    let traces = Folder::new().expect("a temporary folder");
    let trace = traces.join("trace").display().to_string();
    let traced = Command::new("strace").args(["-o", &trace, "true"]).output();
    if !traced.is_ok_and(|output| output.status.success()) {
        return support::skip(TEST, &"there is no strace, or it may not trace");
    }
    // With one capability of root's, and as a child of ours, which strace is not.
    let capability = "-all,+net_bind_service";
    let mut starter = vec!["setpriv", "--no-new-privs", "--bounding-set", capability, "--inh-caps", capability];
    if !rustix::process::geteuid().is_root() {
        starter.clear();
    }
    starter.extend(["strace", "-D", "-f", "-qq", "-o", &trace]);
    let folder = Folder::new().expect("a temporary folder");
    let manifest = folder.join("c2/web.yaml");
    let mut kubezone = c2_from(folder, &starter, &["--grace-period", "0s"]).await.ready().await;
    kubezone.answers("web.shop.svc AAAA", "2a0a:e5c0:10:3::17").await;
    fs::write(&manifest, SERVICE.replace("3::17", "3::18")).expect("a manifest");
    kubezone.answers("web.shop.svc AAAA", "2a0a:e5c0:10:3::18").await;
    kubezone.hang_up().await;
    assert!(kubezone.api("/api/v1/server").await.0.starts_with("HTTP/1.1 200"));
    kubezone.terminate();
    assert_eq!(kubezone.ended().await, Some(0));

    let trace = eventually("the trace is complete", async || {
        let trace = fs::read_to_string(&trace).expect("a trace");
        if trace.contains(" exit_group(0") { Ok(trace) } else { Err(trace) }
    })
    .await;
    let calls = trace.lines().filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('));
    let calls: BTreeSet<&str> = calls.map(|(name, _)| name).filter(|name| !name.starts_with(['<', '+', '-'])).collect();
    for expected in ["recvmmsg", "sendmmsg", "sched_setaffinity", "inotify_add_watch", "accept4"] {
        assert!(calls.contains(expected), "{expected}: {calls:?}");
    }
    let refused: Vec<_> = calls.iter().filter(|name| !allowed.contains(**name)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let families = trace.lines().filter_map(|line| line.split_once(" socket(")?.1.split_once(','));
    let families: BTreeSet<&str> = families.map(|(family, _)| family).collect();
    let allowed = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies=")).expect("families");
    let refused: Vec<_> =
        families.iter().filter(|family| !allowed.split(' ').any(|allowed| allowed == **family)).collect();
    assert!(families.contains("AF_INET6") && refused.is_empty(), "{families:?}");
}

/// An ordinary user who may use low ports, and nothing else, can have port 53.
#[tokio::test]
async fn one_capability_is_enough_for_port_53() {
    const TEST: &str = "one capability is enough for port 53";
    const SCRIPT: &str = "ip link set lo up && exec setpriv --no-new-privs --bounding-set=$0 --inh-caps=$0 \"$@\"";
    let permitted = Command::new("unshare").args(["--net", "true"]).output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        return support::skip(TEST, &"namespaces are not permitted here: run it as root");
    }
    for (capability, expected) in [("-all,+net_bind_service", None), ("-all", Some(3))] {
        let folder = Folder::new().expect("a temporary folder");
        let starter = ["unshare", "--net", "sh", "-c", SCRIPT, capability];
        let config =
            "listen: { dns: [\"[::1]:53\"], metrics: \"[::1]:0\", admin: \"\" }\nzones: [{ name: a, file: a }]\n";
        let path = folder.write("kubezone.yaml", config).expect("written").display().to_string();
        let command = [&starter[..], &[KUBEZONE.as_str(), "serve", "--config", &path, "--grace-period", "0s"]].concat();
        match expected {
            None => {
                let mut kubezone = Kubezone::start("a", &command, folder).await;
                assert_eq!(kubezone.dns().port(), 53);
                kubezone.terminate();
                assert_eq!(kubezone.ended().await, Some(0));
            }
            Some(status) => {
                let output = Command::new(command[0]).args(&command[1..]).output().expect("unshare started");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.code() == Some(status) && said.contains("needs CAP_NET_BIND_SERVICE"), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_zone_takes_no_other_zone_away() {
    let folder = Folder::new().expect("a temporary folder");
    let zone = "@ 60 IN SOA ns hostmaster 1 14400 3600 1209600 30\n@ NS ns\nns AAAA 2001:db8::53\n";
    folder.write("good.zone", zone).expect("a zone");
    folder.write("bad.zone", "@ SOA\n").expect("no zone");
    let text = "listen: { dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }\n\
                readyTimeout: 0s\n\
                zones:\n\
                - { name: good.example, file: good.zone }\n\
                - { name: bad.example, file: bad.zone }\n\
                - { name: absent.example, file: absent.zone }\n";
    let kubezone = Kubezone::configured("example", folder, text).await.ready().await;
    kubezone.answers("ns.good AAAA", "2001:db8::53").await;
    kubezone.answers("ns.bad AAAA", "SERVFAIL").await;
    kubezone.answers("absent SOA", "SERVFAIL").await;
    kubezone.answers("other SOA", "REFUSED").await;
    let readiness = kubezone.http("/readyz").await;
    assert!(readiness.ends_with("ready; zones not loaded: bad.example. absent.example.\n"), "{readiness}");
    assert!(kubezone.metric("kubezone_reload_failed_total", "").await >= 2.0);
}
