//! The servers that follow the control plane, and what the system says about them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::proc;
use crate::support::control_plane::Port;
use crate::support::http::http;
use crate::support::kubezone::Kubezone;
use crate::support::process::{Folder, Process};
use crate::support::{eventually, skip};

/// The zone that every server makes of the cluster.
pub(crate) const ZONE: &str = "c2.k8s.ooo";
/// Where the cluster's addresses are, all of them.
const REVERSE: &str = "0.1.0.0.0.c.5.e.a.0.a.2.ip6.arpa";

/// A server that follows the control plane, and has all of it.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// Where it answers.
    pub(crate) dns: SocketAddr,
    id: u32,
    running: Running,
}

enum Running {
    Kubezone(Kubezone),
    CoreDns(#[expect(dead_code, reason = "they end with us")] Process, #[expect(dead_code)] Folder),
}

impl Server {
    /// kubezone, once /readyz says that it serves.
    pub(crate) async fn kubezone(binary: &Path, kubeconfig: &Path, is_reversed: bool) -> Self {
        let kubezone = kubezone(binary, kubeconfig, is_reversed).await.ready().await;
        Self { name: "kubezone", dns: kubezone.dns(), id: kubezone.id(), running: Running::Kubezone(kubezone) }
    }

    /// `CoreDNS`, once it says that it is ready: that is when its kubernetes plugin has everything.
    pub(crate) async fn coredns(binary: &Path, kubeconfig: &Path) -> Self {
        let folder = Folder::new().expect("a temporary folder");
        let [dns, ready] = [(); 2].map(|()| Port::reserve().expect("a port on [::1]"));
        let corefile = format!(
            "{ZONE}:{port} {{\n bind ::1\n ready {ready}\n kubernetes {{\n  kubeconfig {kubeconfig}\n }}\n}}\n",
            port = dns.address.port(),
            ready = ready.address,
            kubeconfig = kubeconfig.display(),
        );
        let corefile = folder.write("Corefile", &corefile).expect("Corefile written");
        let args = ["-conf".to_owned(), corefile.display().to_string()];
        let mut process = Process::start(binary, &args, folder.join("coredns.log")).expect("CoreDNS started");
        eventually("CoreDNS is ready", async || {
            assert!(!process.has_ended(), "CoreDNS has ended: {}", process.said());
            match http(ready.address, "GET", "/ready", "").await {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => Ok(()),
                _ => Err(process.said()),
            }
        })
        .await;
        Self { name: "CoreDNS", dns: dns.address, id: process.id(), running: Running::CoreDns(process, folder) }
    }

    /// How many changes kubezone has published, and the seconds that they took from their arrival at the writer to the swap.
    pub(crate) async fn published(&self) -> Option<[f64; 2]> {
        let Running::Kubezone(kubezone) = &self.running else { return None };
        let name = "kubezone_dns_programming_duration_seconds";
        let count = kubezone.metric(&format!("{name}_count"), "").await;
        Some([count, kubezone.metric(&format!("{name}_sum"), "").await])
    }

    /// A line of its status, such as `VmRSS`, in MiB.
    pub(crate) fn memory(&self, line: &str) -> f64 {
        proc::memory(self.id, "status", line).expect("it runs")
    }

    /// The CPU time that the kernel has charged to it.
    pub(crate) fn cpu(&self) -> Duration {
        proc::cpu(self.id).expect("it runs")
    }
}

/// kubezone, as soon as it listens.
pub(crate) async fn kubezone(binary: &Path, kubeconfig: &Path, is_reversed: bool) -> Kubezone {
    let nameservers = r#"[{ name: ns, addresses: ["2a0a:e5c0:13:e2::a"] }]"#;
    let mut configuration = format!(
        "apiVersion: k8s.ooo/v1alpha1\n\
         kind: KubezoneConfig\n\
         listen: {{ dns: [\"[::1]:0\"], metrics: \"[::1]:0\" }}\n\
         clusters: [{{ name: c2, kubeconfig: {kubeconfig} }}]\n\
         zones:\n\
         - {{ name: {ZONE}, cluster: c2, nameservers: {nameservers} }}\n",
        kubeconfig = kubeconfig.display(),
    );
    if is_reversed {
        let nameservers = "[{ name: ns.example.com. }]";
        configuration += &format!("- {{ name: {REVERSE}, reverseOf: [{ZONE}], nameservers: {nameservers} }}\n");
    }
    let folder = Folder::new().expect("a temporary folder");
    let path = folder.write("kubezone.yaml", &configuration).expect("configuration written");
    let command = [&binary.display().to_string(), "serve", "--config", &path.display().to_string()];
    Kubezone::start(ZONE, &command, folder).await
}

/// The `CoreDNS` that is compared with; `None` where it cannot be built, which then has been said.
pub(crate) fn coredns() -> Option<PathBuf> {
    let built = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/coredns")).output();
    match built {
        Ok(output) if output.status.success() => {
            let path = String::from_utf8(output.stdout).expect("a path");
            Some(path.trim_end().into())
        }
        Ok(output) => {
            skip("CoreDNS", &String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            skip("CoreDNS", &error);
            None
        }
    }
}

/// What is in the middle of `figures`, and what is at 25 and at 75 %.
pub(crate) fn quartiles(figures: &mut [f64]) -> [f64; 3] {
    [0.25, 0.5, 0.75].map(|part| quantile(figures, part))
}

/// The smallest of `figures` that so large a part of them does not exceed; NaN where there are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers"
)]
pub(crate) fn quantile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let place = (figures.len() as f64 * part).ceil() as usize;
    figures.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
