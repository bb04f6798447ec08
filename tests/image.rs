//! The container image: what is in it, what it tells those who run it, and that it serves as Kubernetes runs it.
//!
//! buildah builds the last stage of packaging/Dockerfile without a daemon and without a registry. The stage before it takes
//! an image from the network: in its place is the folder that packaging/build has filled, as it does there, and which
//! `KUBEZONE_IMAGE` names. crun runs what comes out of it, as a kubelet would have it run.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use support::kubezone::Kubezone;
use support::mounted::Mounted;
use support::netns::Internet;
use support::process::Folder;
use support::skip;

/// Octets that the program may have. It has some 22 million; more than this is debugging information, or an accident.
const LARGEST: usize = 30_000_000;

/// As the chart makes it, for both kinds of addresses.
const CONFIGURATION: &str = r#"apiVersion: k8s.ooo/v1alpha1
kind: KubezoneConfig
listen: { dns: ["[::]:5353", "0.0.0.0:5353"], metrics: "[::]:9153" }
gracePeriod: 0s
zones: [{ name: k8s.ooo, file: k8s.ooo.zone }]
"#;

/// What packaging/build has made. `None`, and a word about `test`, where it was not run.
fn made(test: &str) -> Option<PathBuf> {
    let made =
        std::env::var_os("KUBEZONE_IMAGE").map(PathBuf::from).filter(|made| made.join("image/kubezone").exists());
    if made.is_none() {
        skip(test, &"`packaging/build amd64 FOLDER/image` was not run, or KUBEZONE_IMAGE is not FOLDER");
    }
    made
}

/// The image.
struct Image {
    /// Its files.
    root: PathBuf,
    /// What it tells those who run it (OCI image specification, `config`).
    config: Value,
    _storage: Folder,
}

impl Image {
    /// Builds it; `None` and a word about `test` where that cannot be done.
    fn build(test: &str) -> Option<Self> {
        let made = made(test)?;
        if let Err(error) = Command::new("buildah").arg("--version").output() {
            skip(test, &format!("buildah: {error}"));
            return None;
        }
        let storage = Folder::new().expect("a temporary folder");
        let buildah = |args: &[&str]| {
            let mut command = Command::new("buildah");
            command.args(["--storage-driver", "vfs"]).arg("--root").arg(storage.join("root"));
            let output = command.arg("--runroot").arg(storage.join("run")).args(args).output().expect("buildah");
            assert!(output.status.success(), "buildah {args:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
        };
        let stage = format!("build={}", made.display());
        let architecture = if cfg!(target_arch = "aarch64") { "TARGETARCH=arm64" } else { "TARGETARCH=amd64" };
        buildah(&[
            "build",
            "--isolation=chroot",
            "--build-context",
            &stage,
            "--build-arg",
            architecture,
            "--build-arg",
            "REVISION=0123",
            "--tag=kubezone",
            "--file=packaging/Dockerfile",
            ".",
        ]);
        let image: Value = serde_json::from_str(&buildah(&["inspect", "--type=image", "kubezone"])).expect("JSON");
        let container = buildah(&["from", "kubezone"]);
        let root = buildah(&["mount", &container]).into();
        Some(Self { root, config: image["OCIv1"]["config"].clone(), _storage: storage })
    }

    /// A list of words in its configuration.
    fn words(&self, key: &str) -> Vec<&str> {
        let words = self.config[key].as_array().unwrap_or_else(|| panic!("{key}: {}", self.config));
        words.iter().map(|word| word.as_str().expect("a word")).collect()
    }

    /// What it runs where nothing else is asked for.
    fn command(&self) -> Vec<&str> {
        [self.words("Entrypoint"), self.words("Cmd")].concat()
    }

    /// What a runtime is told to run it with as a container of the chart, its files being where the image is: the OCI runtime
    /// specification's `config.json`. `mounted` is at `at`.
    fn bundle(&self, mounted: &Path, at: &Path) -> Value {
        let user: Vec<u32> = self.config["User"].as_str().expect("a user").split(':').flat_map(str::parse).collect();
        let [uid, gid] = user[..] else { panic!("numbers of a user and a group: {}", self.config["User"]) };
        let none = Vec::<String>::new();
        json!({
            "ociVersion": "1.0.2",
            "root": { "path": self.root, "readonly": true },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755"] },
                { "destination": at, "source": mounted, "options": ["bind", "ro"] },
            ],
            "process": {
                "args": self.command(),
                "cwd": "/",
                "env": self.config["Env"],
                "user": { "uid": uid, "gid": gid },
                "noNewPrivileges": true,
                "capabilities": { "bounding": none, "effective": none, "inheritable": none, "permitted": none, "ambient": none },
            },
            "linux": {
                "namespaces": [{ "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }],
                "seccomp": runtime_default(),
            },
        })
    }

    /// The ports that it names.
    fn ports(&self) -> BTreeSet<&str> {
        let ports = self.config["ExposedPorts"].as_object().expect("ports");
        ports.keys().map(String::as_str).collect()
    }
}

/// The seccomp profile `RuntimeDefault` without any capability, as the OCI runtime specification has it: that of Podman and
/// CRI-O, which buildah brings along; containerd's is of the same origin.
fn runtime_default() -> Value {
    let profile = fs::read("/usr/share/containers/seccomp.json").expect("Debian's golang-github-containers-common");
    let profile: Value = serde_json::from_slice(&profile).expect("JSON");
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let applies = |rule: &&Value| {
        let architectures = rule["includes"]["arches"].as_array();
        rule["action"] == "SCMP_ACT_ALLOW"
            && rule["includes"]["caps"].is_null()
            && architectures.is_none_or(|architectures| architectures.iter().any(|one| one == architecture))
    };
    let rules = profile["syscalls"].as_array().expect("rules").iter().filter(applies);
    let rules = rules.map(|rule| json!({ "names": rule["names"], "action": rule["action"], "args": rule["args"] }));
    json!({ "defaultAction": profile["defaultAction"], "syscalls": rules.collect::<Vec<_>>() })
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeSet<String> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("read"));
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    files.map(|file| file.path().strip_prefix(folder).expect("below").display().to_string()).collect()
}

#[test]
fn it_has_one_static_program_and_says_whose() {
    let Some(image) = Image::build("it_has_one_static_program") else { return };
    let expected = ["LICENSE", "etc/ssl/certs/ca-certificates.crt", "kubezone", "kubezone.cdx.json"];
    assert_eq!(files(&image.root), expected.map(str::to_owned).into());

    let program = image.root.join("kubezone");
    let ldd = Command::new("ldd").arg(&program).output().expect("ldd");
    let said = [ldd.stdout, ldd.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("statically linked") || said.contains("not a dynamic executable"), "{said}");
    let octets = fs::read(&program).expect("read");
    assert!(octets.len() <= LARGEST, "{} octets", octets.len());
    let has = |text: &[u8]| octets.windows(text.len()).any(|window| window == text);
    assert!(has(b"<jemalloc>: "), "its allocator is jemalloc");
    assert!(has(b"dirty_decay_ms:1000"), "with the settings of .cargo/config.toml");

    let label = |name: &str| image.config["Labels"][format!("org.opencontainers.image.{name}")].as_str();
    assert_eq!(label("version"), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(label("description"), Some(env!("CARGO_PKG_DESCRIPTION")));
    assert_eq!(label("licenses"), Some(env!("CARGO_PKG_LICENSE")));
    assert_eq!(label("source"), Some(env!("CARGO_PKG_REPOSITORY")));
    assert_eq!(label("revision"), Some("0123"));
}

#[test]
fn it_serves_where_kubernetes_runs_it() {
    const TEST: &str = "it_serves_where_kubernetes_runs_it";
    let Some(image) = Image::build(TEST) else { return };
    let internet = match Internet::new() {
        Ok(internet) => internet,
        Err(error) => return skip(TEST, &format!("network namespaces: {error}")),
    };
    if let Err(error) = Command::new("crun").arg("--version").output() {
        return skip(TEST, &format!("crun: {error}"));
    }
    let host = internet.host("node", &[]).expect("a host");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    host.enter(|| runtime().block_on(serves(&image)));
}

/// As the chart has it run: the root is read-only, nothing may be written anywhere, the user is nobody and may do nothing, and
/// the configuration is a ConfigMap, which changes.
async fn serves(image: &Image) {
    let folder = Folder::new().expect("a temporary folder");
    let mounted = Mounted::new(folder.join("mounted"), 0o440, Some(65532));
    let write = |serial: u32, address: &str| {
        let zone = format!("@ 60 IN SOA ns hostmaster {serial} 14400 3600 1209600 30\n@ NS ns\nns AAAA {address}\n");
        let configuration = ("kubezone.yaml".to_owned(), CONFIGURATION.to_owned());
        mounted.write(&[configuration, ("k8s.ooo.zone".to_owned(), zone)].into());
    };
    write(1, "2001:db8::53");
    let configuration = image.command().last().copied().map(Path::new).expect("the configuration's path").to_owned();
    let bundle = image.bundle(&mounted.folder, configuration.parent().expect("in a folder"));
    folder.write("config.json", &bundle.to_string()).expect("written");
    let [bundle, state] = ["", "crun"].map(|name| folder.join(name).display().to_string());

    // All that it starts ends with `unshare`; cgroups, of which nothing is wanted, are out of its sight.
    let script = "mount -t tmpfs tmpfs /sys/fs/cgroup && exec \"$@\"";
    let unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh"];
    let crun = ["crun", "--cgroup-manager=disabled", "--root", &state, "run", "--bundle"];
    let command = [&unshare[..], &crun, &[&bundle, "kubezone"]].concat();
    let mut kubezone = Kubezone::start("k8s.ooo", &command, folder).await.ready().await;

    let (dns, metrics) = (kubezone.dns().port(), kubezone.metrics().port());
    let ports = [format!("{dns}/udp"), format!("{dns}/tcp"), format!("{metrics}/tcp")];
    assert_eq!(image.ports(), ports.iter().map(String::as_str).collect());
    kubezone.answers("ns AAAA", "2001:db8::53").await;
    write(2, "2001:db8::54");
    kubezone.answers("ns AAAA", "2001:db8::54").await;

    let pid = descendant(kubezone.id(), "kubezone").expect("it runs");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    for (key, expected) in [
        ("Uid", "65532\t65532\t65532\t65532"),
        ("Gid", "65532\t65532\t65532\t65532"),
        ("Groups", ""),
        ("CapPrm", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ] {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        assert_eq!(line.map(str::trim), Some(expected), "{key}");
    }
    let sent = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    assert_eq!(kubezone.ended().await, Some(0));
}

/// The process called `name` that `ancestor` has started, or one that it has started.
fn descendant(ancestor: u32, name: &str) -> Option<u32> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{ancestor}/{file}")).unwrap_or_default();
    if read("comm").trim_end() == name {
        return Some(ancestor);
    }
    let children = read(&format!("task/{ancestor}/children"));
    children.split_whitespace().find_map(|child| descendant(child.parse().expect("a process ID"), name))
}

/// The parts list has each crate that cargo links, each with its version and a license.
#[test]
fn its_parts_list_is_whole() {
    let Some(made) = made("its_parts_list") else { return };
    let text = fs::read(made.join("image/kubezone.cdx.json")).expect("read");
    let list: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(list["bomFormat"], "CycloneDX");
    let text = |part: &Value, key: &str| part[key].as_str().unwrap_or_else(|| panic!("{key}: {part}")).to_owned();
    let part = |part: &Value| format!("{} v{}", text(part, "name"), text(part, "version"));
    let parts = list["components"].as_array().expect("components");
    let listed: BTreeSet<_> = parts.iter().chain([&list["metadata"]["component"]]).map(part).collect();
    for part in parts {
        assert!(part["licenses"].as_array().is_some_and(|licenses| !licenses.is_empty()), "{part}");
        assert!(text(part, "purl").starts_with("pkg:cargo/"), "{part}");
    }

    let target = &format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut tree = Command::new(env!("CARGO"));
    // Not the macros, which run in the compiler, and what they are made of.
    tree.args(["tree", "--locked", "--offline", "--target", target, "--edges=normal,no-proc-macro", "--prefix=none"]);
    let output = tree.output().expect("cargo");
    assert!(output.status.success(), "{output:?}");
    let linked = String::from_utf8(output.stdout).expect("UTF-8");
    // `NAME vVERSION`, and what else there is to say.
    let linked = linked.lines().map(|line| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "));
    let linked: BTreeSet<_> = linked.collect();
    assert!(linked.contains(concat!("kubezone v", env!("CARGO_PKG_VERSION"))), "{linked:?}");
    assert_eq!(linked.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "linked, and not listed");
}
