//! Manifests, read by kubezone and sent to a real API server: what one refuses the other refuses, for the same fields.
//!
//! The objects are in tests/data/manifests, one document each. The API server gets a document's text as it is, as a dry run
//! of its creation with strict validation, as kubectl does.

mod support;

use std::collections::BTreeSet;
use std::fs;

use axum::http::Request;
use kube::Client;
use kube::core::Status;
use kubezone::source::manifests;

use support::control_plane;
use support::process::Folder;
use support::tell;

/// Where objects go that name no namespace.
const NAMESPACE: &str = "manifests";

#[tokio::test]
async fn the_api_server_says_the_same() {
    let Some(plane) = control_plane::shared("the_api_server_says_the_same").await else { return };
    let scene = plane.namespace(NAMESPACE).await;
    let mut wrong = Vec::new();
    let (mut agreed, mut differing) = (0, 0);
    for table in ["accepted", "refused", "differs"] {
        for document in documents(table) {
            let (ours, theirs) = (kubezone(&document), api_server(&scene.client, &document).await);
            let verdict = match (table, &ours, &theirs) {
                ("accepted", Verdict::Accepted, Verdict::Accepted) => Ok(&mut agreed),
                ("refused", Verdict::Refused(ours), Verdict::Refused(theirs)) if agree(ours, theirs) => Ok(&mut agreed),
                ("differs", Verdict::Accepted, Verdict::Refused(_)) if document.contains("# kubezone accepts: ") => {
                    Ok(&mut differing)
                }
                ("differs", Verdict::Refused(_), Verdict::Accepted)
                    if document.contains("# the API server accepts: ") =>
                {
                    Ok(&mut differing)
                }
                _ => Err(format!("{table}:\n{document}kubezone: {ours:?}\nAPI server: {theirs:?}\n")),
            };
            match verdict {
                Ok(count) => *count += 1,
                Err(what) => wrong.push(what),
            }
        }
    }
    tell(&format!("manifests: {agreed} objects as the API server, {differing} stated differences"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is said of an object.
#[derive(Debug)]
enum Verdict {
    Accepted,
    /// With all that is wrong.
    Refused(Vec<Cause>),
}

#[derive(Debug)]
struct Cause {
    /// The path of the field; none where only the message tells.
    field: Option<String>,
    message: String,
}

/// Fields that the API server fills in from others, by their ends: wrong where those are wrong, and told twice.
const FOLLOWING: [&str; 2] = [".targetPort", "metadata.labels"];

/// Every field that the API server names is one that we name. Where it cannot decode an object, it tells of the first thing
/// only, and where that is in the message: a path without indices, or a key.
fn agree(ours: &[Cause], theirs: &[Cause]) -> bool {
    let fields: BTreeSet<&str> = ours.iter().filter_map(|cause| cause.field.as_deref()).collect();
    let names = |field: &String| fields.contains(&**field);
    let follows = |field: &str| FOLLOWING.iter().any(|end| field.ends_with(end));
    let of_cluster = |cause: &Cause| cause.message.contains("is not configured on this cluster");
    let is_one_ours = theirs.iter().any(|cause| cause.field.as_ref().is_none_or(names));
    is_one_ours
        && theirs.iter().all(|cause| match &cause.field {
            Some(field) => names(field) || follows(field) || of_cluster(cause),
            None if cause.message.contains("could not find the requested resource") => {
                ours.iter().all(|cause| cause.message.starts_with("no matches for kind"))
            }
            None => fields.iter().any(|field| {
                let (path, key) = (without_indices(field), field.rsplit('.').next().expect("a path"));
                cause.message.contains(&format!(".{path} "))
                    || cause.message.contains(&format!("key \"{key}\" already set"))
            }),
        })
}

fn without_indices(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

/// The documents of tests/data/manifests/TABLE.yaml.
fn documents(table: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("tests/data/manifests/{table}.yaml")).expect("a table");
    text.split("---\n").skip(1).map(str::to_owned).collect()
}

/// What kubezone says.
fn kubezone(document: &str) -> Verdict {
    let folder = Folder::new().expect("a temporary folder");
    let manifest = folder.write("manifest.yaml", document).expect("a manifest");
    let (_, errors) = manifests::read(&manifest);
    if errors.is_empty() {
        return Verdict::Accepted;
    }
    let cause = |error: manifests::ManifestError| {
        assert!(error.position.is_some(), "{error}");
        // `Service "web": spec.type: Unsupported value: …`
        let field = error.message.split(": ").nth(1).map(str::to_owned);
        Cause { field, message: error.message }
    };
    Verdict::Refused(errors.into_iter().map(cause).collect())
}

/// What the API server says.
async fn api_server(client: &Client, document: &str) -> Verdict {
    let field = |name: &str| document.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    // One of them is JSON.
    let (version, kind) = (field("apiVersion").unwrap_or("v1"), field("kind").unwrap_or("Service"));
    let group = if version.contains('/') { "apis" } else { "api" };
    let namespace = if kind == "Namespace" { String::new() } else { format!("namespaces/{NAMESPACE}/") };
    let resource = kind.to_lowercase();
    let uri = format!("/{group}/{version}/{namespace}{resource}s?dryRun=All&fieldValidation=Strict");
    let request = Request::post(uri).header("Content-Type", "application/yaml").body(document.as_bytes().to_vec());
    match client.request_text(request.expect("a request")).await {
        Ok(_) => Verdict::Accepted,
        Err(kube::Error::Api(status)) => Verdict::Refused(causes(*status)),
        Err(other) => panic!("{other}"),
    }
}

fn causes(status: Status) -> Vec<Cause> {
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    let causes: Vec<_> = causes
        .into_iter()
        .filter(|cause| !cause.field.is_empty())
        .map(|cause| Cause { field: Some(cause.field), message: cause.message })
        .collect();
    if causes.is_empty() { vec![Cause { field: None, message: status.message }] } else { causes }
}
