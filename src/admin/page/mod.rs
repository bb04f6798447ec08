//! The status page: what the [JSON API](super::api) tells, to look at.
//!
//! The server renders it, so that it works in any browser, with or without
//! JavaScript, styles or eyes. What there is of JavaScript brings a page up to
//! date while it is looked at, and copies. Nothing is decided here, and nothing is
//! changed: every form asks by GET.
//!
//! Names, hostnames and texts are strangers' words: [`text::Text`] shows what
//! hides in them, and the templates escape all of it.

mod names;
mod overview;
mod services;
mod text;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};
use serde::Serialize;

use super::api::{Api, Refusal};
use super::live;
pub(super) use overview::rates;
use text::{Text, segment};

/// Nothing but what comes from here, and no page of others around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages, and what they need.
pub(super) fn routes() -> Router<Arc<Api>> {
    let file =
        |media: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, media)], text) });
    Router::new()
        .route("/", get(overview::overview))
        .route("/services", get(services::list))
        .route("/services/{cluster}/{namespace}/{name}", get(services::service))
        .route("/names/{name}", get(names::name))
        .route("/zones", get(zones::list))
        .route("/zones/{zone}", get(zones::zone))
        .route("/search", get(names::search))
        .route("/events", get(events))
        .route("/style.css", file("text/css; charset=utf-8", include_str!("style.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
}

/// A page as it is sent.
struct Page {
    title: String,
    /// Where it is in the navigation.
    place: Place,
    status: StatusCode,
    body: Markup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Overview,
    Services,
    Zones,
    Nowhere,
}

impl Page {
    fn new(title: impl Into<String>, place: Place, body: Markup) -> Self {
        Self { title: title.into(), place, status: StatusCode::OK, body }
    }
}

/// Why there is no page.
struct NoPage(Refusal);

impl From<Refusal> for NoPage {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for NoPage {
    fn into_response(self) -> Response {
        let Refusal(status, sentence) = self.0;
        let title = status.canonical_reason().unwrap_or("No page");
        let body = html! {
            h1 { (title) }
            p.lead { (Text(&sentence)) }
            p { a href="/" { "Back to the overview" } }
        };
        Page { status, ..Page::new(title, Place::Nowhere, body) }.into_response()
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Self { title, place, status, body } = self;
        let tabs = [
            ("/", "Overview", Place::Overview),
            ("/services", "Services", Place::Services),
            ("/zones", "Zones", Place::Zones),
        ];
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (Text(&title).plain()) " · kubezone" }
                    link rel="icon" type="image/svg+xml" href="/icon.svg";
                    link rel="stylesheet" href="/style.css";
                    script src="/page.js" defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        a.brand href="/" { "kubezone" }
                        nav aria-label="Pages" {
                            ul {
                                @for (href, name, of) in tabs {
                                    li { a href=(href) aria-current=[(of == place).then_some("page")] { (name) } }
                                }
                            }
                        }
                        form role="search" action="/search" {
                            label.aside for="q" { "Service, name or address" }
                            input #q type="search" name="q" placeholder="Service, name or address";
                            button { "Find" }
                        }
                    }
                    main #main tabindex="-1" { (body) }
                    footer {
                        span { "kubezone " (env!("CARGO_PKG_VERSION")) } " "
                        span #live { "As of when it was loaded" } " "
                        a href="/api/v1/openapi.json" { "JSON API" }
                    }
                }
            }
        };
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        (status, headers, page.into_string()).into_response()
    }
}

/// Says when there is something new, for as long as a connection may take.
async fn events(Shared(api): Shared<Arc<Api>>) -> Result<Response, Refusal> {
    let Some(place) = api.live.place() else {
        let sentence =
            "so many listen already that there is no place left: pages are brought up to date when they are loaded";
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, sentence.to_owned()));
    };
    Ok(Sse::new(live::events(&api, place)).into_response())
}

/// What stands behind the question mark; of what is said twice, the last. A form says what is empty, too, which means nothing.
#[derive(Debug, PartialEq, Eq)]
struct Asked(BTreeMap<String, String>);

impl Asked {
    fn of(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let pairs = pairs.map(|(key, value)| (key.into_owned(), value.trim().to_owned()));
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Empty: it is not asked for.
    fn get(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }

    /// The same question with another value.
    fn with<'a>(&'a self, key: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
        let others =
            self.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).filter(|(other, _)| *other != key);
        others.chain([(key, value)]).collect()
    }
}

/// The address of a page of ours with these parameters, those left out that are empty.
fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

fn path_of_service(cluster: &str, namespace: &str, name: &str) -> String {
    format!("/services/{}/{}/{}", segment(cluster), segment(namespace), segment(name))
}

fn path_of_name(name: &str) -> String {
    format!("/names/{}", segment(name))
}

fn path_of_zone(zone: &str) -> String {
    format!("/zones/{}", segment(zone))
}

/// A button that copies the lines of `text`; there where JavaScript is.
fn copy(text: &str, what: &str) -> Markup {
    let lines: Vec<_> = text.lines().map(|line| Text(line).plain()).collect();
    html! { button.copy type="button" data-copy=(lines.join("\n")) aria-label={ "copy " (what) } { "copy" } }
}

/// A state: a mark, which the eye finds, and the word that means it.
fn state(kind: Kind, word: &str) -> Markup {
    let (class, mark) = match kind {
        Kind::Good => ("good", "●"),
        Kind::Bad => ("bad", "▲"),
        Kind::Waiting => ("waiting", "◌"),
        Kind::Off => ("off", "○"),
    };
    html! { span.state.(class) { span aria-hidden="true" { (mark) " " } (word) } }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    /// Somebody should do something.
    Bad,
    Waiting,
    /// As it is meant to be, and not there.
    Off,
}

/// A time span as one reads it.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The word that JSON has for something.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

/// A number as one reads it: `100,000`.
fn number(count: usize) -> String {
    let digits = count.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Whether it is one or several.
fn plural(count: usize, one: &str, several: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { several })
}

/// A time in RFC 3339, to the second.
fn time(at: &str) -> Markup {
    let short =
        at.split_once('.').map_or_else(|| at.trim_end_matches('Z').to_owned(), |(seconds, _)| seconds.to_owned());
    html! { time datetime=(at) { (short.replace('T', " ")) " UTC" } }
}

/// A path of a Service, a name or a zone that cannot be read.
type Segments<T> = Result<Path<T>, axum::extract::rejection::PathRejection>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_easy_to_read() {
        let check = |count: usize, text: &str| assert_eq!(number(count), text);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(1_234_567, "1,234,567");
        let spans = [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")];
        spans.iter().for_each(|(seconds, text)| assert_eq!(span(*seconds), *text));
    }

    #[test]
    fn what_a_form_leaves_empty_is_not_asked_for() {
        let uri = "/services?namespace=&search=+web+&published=true".parse().expect("a URI");
        let expected =
            [("published", "true"), ("search", "web")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(Asked::of(&uri), Asked(BTreeMap::from(expected)));
        let with = Asked::of(&uri);
        assert_eq!(with.with("after", "a/b"), [("published", "true"), ("search", "web"), ("after", "a/b")]);
        assert_eq!(with.with("search", ""), [("published", "true"), ("search", "")]);
        assert_eq!(address("/services", &[("zone", ""), ("search", "a&b=c d")]), "/services?search=a%26b%3Dc+d");
        assert_eq!(address("/services", &[("zone", "")]), "/services");
    }

    #[test]
    fn strangers_stay_within_their_segment() {
        assert_eq!(path_of_service("c2", "a/b", "x?y#z%"), "/services/c2/a%2Fb/x%3Fy%23z%25");
        assert_eq!(path_of_name("\\046 é.k8s.ooo."), "/names/%5C046%20%C3%A9.k8s.ooo.");
    }
}
