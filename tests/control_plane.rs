//! kubezone with a real control plane.

mod support;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use serde_json::json;
use support::control_plane::{self, address, ports};
use support::eventually;

#[tokio::test]
async fn the_control_plane_makes_endpoint_slices() {
    let Some(plane) = control_plane::shared("the_control_plane_makes_endpoint_slices").await else { return };
    let scene = plane.namespace("harness").await;
    let service = scene.create_service("web", json!({ "ports": ports(&[("https", 443)]) })).await;
    println!("{}", address(&service));
    scene
        .create_service(
            "db",
            json!({ "clusterIP": "None", "selector": { "app": "db" }, "ports": ports(&[("postgres", 5432)]) }),
        )
        .await;
    scene.create_pod("db-0", "db", json!({ "app": "db" }), json!([])).await;
    scene.set_pod("db-0", "2a0a:e5c0:10:2::10", true).await;
    let slice = eventually("slice", async || {
        let slices = scene.api::<EndpointSlice>().list(&ListParams::default()).await.unwrap();
        slices.items.into_iter().find(|s| s.endpoints.iter().any(|e| !e.is_empty())).ok_or("none".to_owned())
    })
    .await;
    println!("{}", serde_json::to_string_pretty(&slice).unwrap());
    scene.delete_pod("db-0").await;
    scene.delete().await;
}
