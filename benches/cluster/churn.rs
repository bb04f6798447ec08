//! As many changes of `EndpointSlices` as the API server makes.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::sleep;

use super::fresh::Scene;
use super::seed::numbered;
use super::server::{Server, quantile};
use crate::support::control_plane::ControlPlane;

/// The namespace where things change.
const NAMESPACE: &str = "churn";
/// Who changes things without a pause, each a Service of its own after the other.
const CLIENTS: usize = 16;
/// The Services of each.
const SERVICES: usize = 8;
/// How long a client that wants to know rests between changes of its own, and between questions.
const PAUSE: Duration = Duration::from_millis(50);
const REST: Duration = Duration::from_millis(1);

/// Prints what it costs to follow, for so many seconds with each server.
pub(crate) async fn measure(plane: &ControlPlane, binary: &Path, coredns: Option<&Path>, seconds: u64) {
    let scene = Scene::new(plane.client().await, NAMESPACE).await;
    let names = (0..CLIENTS * SERVICES).map(|number| format!("churning-{number}")).collect::<Vec<_>>();
    for name in &names {
        scene.create_headless(name).await;
    }
    scene.create_headless("probe").await;

    println!(
        "| churn, {seconds} s | changes/s | CPU µs per change | CPU % of a core | late: median ms | 95 % | most | RSS MiB before | after |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let number = AtomicUsize::new(0x10_0000);
    let next = || number.fetch_add(1, Ordering::Relaxed);
    for is_kubezone in [true, false] {
        let server = match coredns {
            _ if is_kubezone => Server::kubezone(binary, &plane.kubeconfig(), false).await,
            Some(coredns) => Server::coredns(coredns, &plane.kubeconfig()).await,
            None => continue,
        };
        let (before, cpu, started) = (server.memory("VmRSS"), server.cpu(), Instant::now());
        let is_over = || started.elapsed() >= Duration::from_secs(seconds);
        let (changes, mut delays) = futures::join!(
            join_all(names.chunks(SERVICES).map(async |names| {
                let mut changes = 0_u32;
                for name in names.iter().cycle() {
                    if is_over() {
                        break;
                    }
                    scene.replace(name, numbered(5, next())).await;
                    changes += 1;
                }
                changes
            })),
            async {
                let mut delays = Vec::new();
                while !is_over() {
                    delays.push(scene.moved(server.dns, "probe", next(), REST).await);
                    sleep(PAUSE).await;
                }
                delays
            }
        );
        let (took, cpu) = (started.elapsed().as_secs_f64(), (server.cpu() - cpu).as_secs_f64());
        let changes = f64::from(changes.into_iter().sum::<u32>());
        let [middle, most, all] = [0.5, 0.95, 1.0].map(|part| quantile(&mut delays, part));
        println!(
            "| {} | {:.0} | {:.0} | {:.1} | {middle:.1} | {most:.1} | {all:.1} | {before:.1} | {:.1} |",
            server.name,
            changes / took,
            cpu / changes * 1e6,
            cpu / took * 100.0,
            server.memory("VmRSS"),
        );
    }
    println!();
}
